from __future__ import annotations

import json

import numpy as np
import pytest
from seg_toolkit.evaluation.metrics import BEST_DB, confusion, dice, iou, label_summary, pixel_error, value_scores

TRUTH = np.array([[0, 0, 0, 1], [0, 1, 1, 1]], np.uint8)
LABELS = np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.uint8)
COUNTS = np.array([[3, 1], [1, 3]])


def test_confusion_counts_truth_in_rows() -> None:
    truth, labels = np.array([[0, 0, 1]], np.uint8), np.array([[1, 1, 1]], np.uint8)
    np.testing.assert_array_equal(confusion(truth, labels, 2), [[0, 2], [0, 1]])


def test_confusion_by_hand() -> None:
    np.testing.assert_array_equal(confusion(TRUTH, LABELS, 2), COUNTS)


def test_confusion_of_many_classes_does_not_overflow() -> None:
    high = np.full((2, 2), 255, np.uint8)
    assert confusion(high, high, 256)[255, 255] == 4


def test_dice_by_hand() -> None:
    np.testing.assert_allclose(dice(COUNTS), [6 / 8, 6 / 8])


def test_iou_by_hand() -> None:
    np.testing.assert_allclose(iou(COUNTS), [3 / 5, 3 / 5])


def test_pixel_error_by_hand() -> None:
    assert pixel_error(COUNTS) == pytest.approx(2 / 8)


def test_class_in_neither_is_not_a_number() -> None:
    counts = np.array([[5, 0, 0], [2, 3, 0], [0, 0, 0]])
    np.testing.assert_allclose(dice(counts), [10 / 12, 6 / 8, np.nan])
    np.testing.assert_allclose(iou(counts), [5 / 7, 3 / 5, np.nan])


def test_class_that_is_only_predicted_scores_zero() -> None:
    assert dice(np.array([[3, 1], [0, 0]]))[1] == 0


def test_summary_averages_a_class_over_the_images_where_it_occurs() -> None:
    empty = np.array([[8, 0], [0, 0]])
    result = label_summary([COUNTS, empty], ["ground", "cell"])
    assert result["classes"][1] == {"name": "cell", "dice": 0.75, "iou": pytest.approx(0.6)}
    assert result["classes"][0]["dice"] == pytest.approx((0.75 + 1) / 2)
    assert result["pixel_error"] == pytest.approx((0.25 + 0) / 2)
    assert result["mean_dice"] == pytest.approx((0.875 + 0.75) / 2)
    assert result["images"] == 2


def test_class_that_occurs_nowhere_is_null_in_json() -> None:
    result = label_summary([np.array([[8, 0], [0, 0]])], ["ground", "cell"])
    assert json.loads(json.dumps(result, allow_nan=False))["classes"][1] == {"name": "cell", "dice": None, "iou": None}


def test_nothing_found_where_nothing_is_may_count_as_right() -> None:
    empty, wrong = np.array([[8, 0], [0, 0]]), np.array([[7, 1], [0, 0]])
    result = label_summary([COUNTS, empty, wrong], ["ground", "cell"], "one")
    assert result["classes"][1] == {
        "name": "cell",
        "dice": pytest.approx((0.75 + 1 + 0) / 3),
        "iou": pytest.approx(1.6 / 3),
    }
    assert label_summary([empty], ["ground", "cell"], "one")["mean_dice"] == 1


def test_scores_by_hand() -> None:
    truth = np.zeros((1, 2, 2), np.float32)
    answer = truth + np.array([[[1, -1], [3, -3]]], np.float32)
    found = value_scores(truth, answer, [100.0])
    assert found["mae"] == [2]
    assert found["rmse"] == pytest.approx([np.sqrt(5)])
    assert found["psnr"] == pytest.approx([10 * np.log10(100**2 / 5)])
    assert np.isnan(found["ssim"][0])  # smaller than its window
    same = value_scores(np.zeros((1, 20, 20), np.float32), np.zeros((1, 20, 20), np.float32), [100.0])
    assert (same["psnr"][0], same["ssim"][0]) == (BEST_DB, 1)
