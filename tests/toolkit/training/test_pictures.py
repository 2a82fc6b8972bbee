from __future__ import annotations

import numpy as np
import pytest
from seg_toolkit.training.pictures import curves, ticks


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (1.657, 2.084, ["1.7", "1.8", "1.9", "2.0"]),
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.912, 0.934, ["0.915", "0.920", "0.925", "0.930"]),
        (-20.0, 1100.0, ["0", "500", "1000"]),
        (-3.0, 3.0, ["-2", "0", "2"]),
    ],
)
def test_ticks_are_round_numbers_within_the_axis(low: float, high: float, wanted: list[str]) -> None:
    found = ticks(low, high)
    assert [text for _, text in found] == wanted
    assert all(low <= value <= high for value, _ in found)


@pytest.mark.parametrize(
    ("last", "wanted"), [(1, ["0", "1"]), (3, ["0", "1", "2", "3"]), (3000, ["0", "1000", "2000", "3000"])]
)
def test_steps_are_whole_numbers(last: int, wanted: list[str]) -> None:
    assert [text for _, text in ticks(0, last, whole=True)] == wanted


@pytest.mark.parametrize("count", [0, 1, 5])
def test_curves_of_few_evaluations_can_be_drawn(count: int) -> None:
    rows = [{"step": 10 * (i + 1), "loss": 2.0 - i / 10, "dice": 0.5} for i in range(count)]
    assert np.asarray(curves(rows)).std() > 0
