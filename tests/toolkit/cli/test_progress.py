from __future__ import annotations

from itertools import count

import pytest
from seg_toolkit.cli.progress import Pace


def told(steps: int, seconds_per_step: float, first: int = 1) -> list[str]:
    """What is said over a training with a steady pace, whose first step takes a minute more."""
    ticks = count()
    pace = Pace(steps, lambda: 60 + next(ticks) * seconds_per_step)
    return [text for step in range(first, steps + 1) if (text := pace.after(step))]


@pytest.mark.parametrize(
    ("steps", "seconds", "wanted"),
    [
        (102, 6.0, ["about 10 min for the remaining 99 steps"]),
        (3000, 6.0, ["about 5.0 h for the remaining 2997 steps"]),
        (3000, 0.1, ["about 5 min for the remaining 2949 steps"]),
        (20, 0.5, []),  # less than a minute
        (2, 100.0, []),
    ],
)
def test_the_rest_of_a_training_is_estimated_once_from_its_first_steps(
    steps: int, seconds: float, wanted: list[str]
) -> None:
    assert told(steps, seconds) == wanted


def test_a_resumed_training_counts_from_where_it_goes_on() -> None:
    assert told(102, 6.0, first=51) == ["about 5 min for the remaining 49 steps"]
