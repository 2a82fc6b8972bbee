"""What a training says about the scores of labels."""

from __future__ import annotations

import numpy as np
import pytest
from seg_toolkit.options import Settings
from seg_toolkit.training.objectives.labels import LabelObjective

from tests.support.contracts import contract
from tests.support.folders import TWO

LACKING, NOTHING, WRONG = "no validation image contains", "no pixel of", "but only where it is not"
NAME = TWO[1].info.name


@pytest.mark.parametrize("empty_dice", ["skip", "one"])
@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([[[9, 0], [0, 0]], [[8, 0], [0, 0]]], LACKING),  # rows are true classes, columns predicted ones
        ([[[5, 4], [0, 0]], [[1, 7], [0, 0]]], LACKING),
        ([[[5, 0], [4, 0]], [[9, 0], [0, 0]]], NOTHING),
        ([[[5, 2], [2, 0]], [[6, 1], [2, 0]]], WRONG),
        ([[[5, 4], [0, 0]], [[5, 0], [0, 4]]], ""),
    ],
)
def test_a_class_without_a_score_is_told_with_its_cause(
    images: list[list[list[int]]], said: str, empty_dice: str
) -> None:
    objective = LabelObjective(contract(), TWO, Settings.stored({"empty_dice": empty_dice}))
    told = objective.warnings(objective.summary([np.array(image) for image in images]))
    assert len(told) == bool(said)
    assert all(said in line and NAME in line for line in told)
