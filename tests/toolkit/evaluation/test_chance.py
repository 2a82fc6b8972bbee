"""Confidence intervals of scores, and the images that a preview shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from seg_toolkit.evaluation import interval, telling


def test_the_interval_is_that_of_a_table_of_student_s_t() -> None:
    # t(0.975) is 12.706, 4.303, 2.262 for 1, 2, 9 degrees of freedom
    assert interval(0.8, [0.7, 0.9]) == pytest.approx((0.8 - 12.706 * 0.1, 0.8 + 12.706 * 0.1), abs=1e-3)
    assert interval(0.8, [0.7, 0.8, 0.9]) == pytest.approx(
        (0.8 - 4.303 * 0.1 / 3**0.5, 0.8 + 4.303 * 0.1 / 3**0.5), abs=1e-3
    )
    ten = [0.5, 0.7] * 5
    assert interval(0.6, ten) == pytest.approx((0.6 - 2.262 * np.std(ten, ddof=1) / 10**0.5, 0.6754), abs=1e-3)


def test_the_interval_ends_where_scores_end() -> None:
    assert interval(0.8, [0.7, 0.9], 0, 1) == (0, 1)


@pytest.mark.parametrize("scores", [[], [0.8], [0.8, math.nan], [math.inf, 0.8]])
def test_one_image_has_no_interval(scores: list[float]) -> None:
    assert interval(0.8, scores) is None


def test_nineteen_of_twenty_intervals_contain_the_mean_of_many_images() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(0.8, 0.05, (2000, 5))
    hits = [low < 0.8 < high for low, high in (interval(float(d.mean()), d.tolist()) for d in draws)]  # type: ignore[misc]
    assert 0.93 < np.mean(hits) < 0.97


@pytest.mark.parametrize(
    ("scores", "kinds", "expected"),
    [
        ([0.9, 0.2, 0.5, 0.7, 0.6], "ggggg", [(1, "worst"), (4, "median"), (0, "best")]),
        ([0.9, 0.2], "gg", [(1, "worst"), (0, "best")]),
        ([0.9], "g", [(0, "only image")]),
        ([], "", []),
        ([math.nan, 0.9, 0.2], "ggg", [(2, "worst"), (1, "best")]),
        ([math.nan], "g", []),
        (
            [0.9, 0.2, 0.5, 0.7],
            "gggc",
            [(1, "worst g image"), (2, "median g image"), (0, "best g image"), (3, "only c image")],
        ),
    ],
)
def test_the_worst_the_median_and_the_best_of_each_kind_are_shown(
    scores: list[float], kinds: str, expected: list[tuple[int, str]]
) -> None:
    assert telling(scores, list(kinds)) == expected
