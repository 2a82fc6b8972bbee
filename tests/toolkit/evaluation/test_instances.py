from __future__ import annotations

import json
import math

import numpy as np
import pytest
from seg_toolkit.evaluation import ObjectScores, object_summary, object_table

NONE = np.zeros(8, int)
CELL = np.array([1, 1, 1, 1, 0, 0, 0, 0])
SMALLER = np.array([1, 1, 1, 0, 0, 0, 0, 0])  # IoU 3/4 with it
TWO = np.array([1, 1, 1, 1, 2, 2, 2, 2])
BOTH = np.ones(8, int)


def test_the_average_precision_of_an_image_is_the_mean_over_thresholds() -> None:
    """IoU 3/4 reaches 0.50, 0.55, 0.60, 0.65, 0.70 and 0.75 of the nine."""
    assert ObjectScores.of(CELL, SMALLER).average_precision == pytest.approx(6 / 9)
    assert math.isnan(ObjectScores.of(NONE, NONE).average_precision)
    assert ObjectScores.of(NONE, CELL).average_precision == 0


def test_objects_of_all_images_count_alike_and_mean_ap_is_that_of_images() -> None:
    """One object that is right; two that are merged, of which none matches above 0.5; one that is nowhere; nothing."""
    figures = [ObjectScores.of(*pair) for pair in ((CELL, CELL), (TWO, BOTH), (NONE, CELL), (NONE, NONE))]
    got = object_summary(figures)
    assert got["images"] == 4
    assert got["ap"]["0.50"] == pytest.approx(2 / 4)  # the merged object is half of each
    assert got["ap"]["0.55"] == got["ap"]["0.90"] == pytest.approx(1 / 5)
    assert got["ap"]["mean"] == pytest.approx((1 / 2 + 8 / 5) / 9)
    assert got["mean_ap"] == pytest.approx((1 + (1 / 2) / 9 + 0) / 3)  # the image without objects does not count
    assert (got["precision"], got["recall"], got["f1"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert got["pq"] == pytest.approx((1 + 1 / 2) / 3)
    assert got["seg"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert (got["true"], got["found"], got["merged"], got["split"]) == (3 / 4, 3 / 4, 1, 0)


def test_images_without_objects_have_no_scores() -> None:
    got = object_summary([ObjectScores.of(NONE, NONE)] * 2)
    assert {got[name] for name in ("mean_ap", "f1", "precision", "recall", "pq", "seg")} == {None}
    assert set(got["ap"].values()) == {None}
    assert (got["true"], got["found"]) == (0, 0)
    json.dumps(got, allow_nan=False)
    assert "F1 - (precision -, recall -); PQ -; SEG -" in object_table(got)


def test_the_table_shows_what_was_asked_for() -> None:
    figures = [ObjectScores.of(TWO, BOTH), ObjectScores.of(CELL, SMALLER)]
    assert object_table(object_summary(figures)).splitlines() == [
        "objects of all images: AP 0.6667 at IoU 0.50, 0.2500 at IoU 0.75, 0.0000 at IoU 0.90, mean 0.2130; "
        "F1 0.8000 (precision 1.0000, recall 0.6667); PQ 0.5000; SEG 0.5833",
        "objects per image: 1.5 true, 1.0 found; in all images, 1 merged and 0 split",
    ]
    assert object_table(object_summary(figures, ["seg"])) == "objects of all images: SEG 0.5833"
    assert object_table(object_summary(figures, ["count"])).startswith("objects per image: 1.5 true")
