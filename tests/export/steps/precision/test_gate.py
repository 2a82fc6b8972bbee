"""The gate of a precision: figures that can be checked by hand, and what it refuses."""

import numpy as np
import pytest
from seg_export.pictures import pictures
from seg_export.steps.precision.cost import Cost
from seg_export.steps.precision.gate import judge, with_reference
from seg_runtime.support.errors import DataError, ImageError, ParityError
from seg_toolkit.data import ClassValues

from tests.support.bright import OUT, bright, folder


def labels(*values):
    return np.array(values, np.uint8)[None]


def half(count, of=1000):
    """`of` pixels, the first half dark but for `count` of them."""
    result = np.repeat(np.array([0, 1], np.uint8), of // 2)[None]
    result[0, :count] = 1
    return result


def test_drop_against_fp32_is_one_less_the_mean_dice_of_the_classes():
    cost = Cost(2)
    cost.add(labels(0, 0, 1, 1), labels(0, 1, 1, 1))
    # dark: 2·1 / (2 + 1), bright: 2·2 / (2 + 3)
    assert cost.drop == pytest.approx(100 * (1 - (2 / 3 + 4 / 5) / 2), abs=0.1)  # but for the speck
    assert cost.truth_drop is None
    assert cost.deciding == cost.drop
    assert cost.as_dict()["against_fp32"]["iou"] == pytest.approx([1 / 2, 2 / 3])


def test_each_image_counts_the_same():
    cost = Cost(2)
    cost.add(labels(0, 1), labels(0, 1))
    cost.add(labels(0, 0, 0, 1, 1, 1), labels(0, 0, 1, 1, 1, 1))
    assert cost.drop == pytest.approx(100 * (1 - ((1 + 4 / 5) / 2 + (1 + 6 / 7) / 2) / 2), abs=0.1)


def test_an_image_that_fp32_fails_on_does_not_hide_the_others():
    """In sums over all pixels the form would be the better one by far."""
    cost = Cost(2)
    cost.add(half(0), half(60), truth=half(0))
    cost.add(half(450, of=100_000), half(20_000, of=100_000), truth=half(20_000, of=100_000))
    cost.add(half(0), half(450), truth=half(0))
    assert cost.truth_drop > 1


def test_masks_decide_where_there_are_any():
    cost = Cost(2)
    cost.add(half(0), half(100), truth=half(100))
    assert cost.drop > 5
    assert cost.truth_drop < -5  # the form is better than fp32
    assert cost.deciding == cost.truth_drop
    assert cost.off == -cost.truth_drop  # a gain by luck is no reason to stop choosing
    assert cost.as_dict()["decided_by"] == "masks"
    cost.require("int8")
    worse = Cost(2)
    worse.add(half(0), half(30), truth=half(0))
    assert worse.truth_drop == pytest.approx(worse.drop)
    with pytest.raises(ParityError, match=r"int8 does not give the same masks as fp32 \(the drop is 3.0\d Dice points"):
        worse.require("int8")


@pytest.mark.parametrize(("flipped", "passes"), [(5, True), (9, True), (11, False)])
def test_a_drop_over_one_point_is_refused(flipped, passes):
    cost = Cost(2)
    cost.add(half(0), half(flipped))
    assert (cost.drop <= 1) == passes
    assert (not cost.failures()) == passes


def test_blank_and_nan_and_one_class_are_refused_whatever_the_dice():
    blank = Cost(2)
    blank.add(half(0), np.zeros_like(half(0)), truth=np.zeros_like(half(0)))
    assert blank.deciding < 0  # masks of this kind would forgive it
    assert blank.failures() == ["1 of 1 images are blank where fp32 finds several classes"]
    nearly = Cost(2)
    nearly.add(labels(*[0] * 199, 1), labels(*[0] * 200))
    assert nearly.blank == 0  # half a per cent
    odd = Cost(2)
    odd.add(half(0), half(0))
    odd.not_finite = 3
    assert odd.failures() == ["3 logits are NaN or infinite"]
    constant = Cost(2)
    constant.add(labels(0, 0), labels(0, 0))
    assert "only one class" in constant.failures()[0]


def test_a_class_that_occurs_nowhere_does_not_count():
    cost = Cost(3)
    cost.add(labels(0, 0, 1, 1), labels(0, 0, 1, 1))
    assert cost.drop == 0
    assert cost.as_dict()["against_fp32"]["dice"] == [1, 1, None]


@pytest.mark.parametrize("masks", [True, False])
def test_one_stray_pixel_is_no_loss_where_nobody_else_finds_the_class(masks):
    """Four of eight patients are healthy; one pixel of two million differs."""
    cost, healthy, ill = Cost(2), np.zeros((500, 500), np.uint8), half(0, of=250_000).reshape(500, 500)
    stray = healthy.copy()
    stray[7, 7] = 1
    for place in range(8):
        reference = healthy if place < 4 else ill
        cost.add(reference, stray if place == 0 else reference, reference if masks else None)
    assert 0 < cost.deciding < 0.1
    assert not cost.failures()
    cost.add(healthy, ill, healthy if masks else None)  # half an image is no stray pixel
    assert cost.deciding > 1


def test_masks_are_read_as_training_read_them(tmp_path):
    """With the boundary of objects as a class: a form that loses it all must not pass."""
    root = folder(tmp_path)
    contract, classes = bright().contract, ClassValues.parse("background=0,cell=255,boundary=-1")
    images = [picture.with_truth(contract) for picture in pictures(root, contract, "pairs:ring=2", classes)]
    cost = Cost(3)
    for _, truth in images:
        assert set(np.unique(truth)) == {0, 1, 2}
        cost.add(truth, np.where(truth == 2, 0, truth), truth)
    assert cost.failures()


def brightness(window):
    score = window[:, :, 92:-92, 92:-92] - 0.5
    return np.concatenate([-score, score], axis=1)


@pytest.mark.parametrize("masks", [True, False])
def test_whole_images_are_judged_with_and_without_masks(tmp_path, masks):
    checkpoint = bright()
    contract = checkpoint.contract
    chosen = pictures(folder(tmp_path, masks=masks), contract, classes=checkpoint.classes)
    seen = []

    def shifted(window):
        return brightness(window) + np.array([0.4, 0], np.float32)[:, None, None]

    same = judge(with_reference(chosen, contract, brightness), contract, brightness, seen.append)
    assert seen == [1, 2, 3]
    assert (same.images, int(same.counts.sum()), same.drop) == (3, 3 * 130 * 100, 0)
    assert (same.truth_drop == 0) if masks else (same.truth_drop is None)
    cost = judge(with_reference(chosen, contract, brightness), contract, shifted)
    assert cost.drop > 1
    assert cost.table("int8", ["dark", "bright"]).count("against masks") == (5 if masks else 0)


def test_nan_logits_are_counted(tmp_path):
    checkpoint = bright()
    contract = checkpoint.contract
    chosen = pictures(folder(tmp_path, count=1), contract, classes=checkpoint.classes)
    cost = judge(with_reference(chosen, contract, brightness), contract, lambda w: brightness(w) * np.nan)
    windows = 2 * 2  # 130 x 100 px in steps of 64
    assert cost.not_finite == windows * 2 * OUT * OUT


def test_wrong_folders(tmp_path):
    contract = bright().contract
    with pytest.raises(DataError, match=r"nowhere is not a folder"):
        pictures(tmp_path / "nowhere", contract)
    with pytest.raises(DataError, match="has no images"):
        pictures(tmp_path, contract)
    odd = folder(tmp_path / "odd", count=1, masks=False)
    (odd / "images" / "0.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"0\.png"):
        list(with_reference(pictures(odd, contract), contract, brightness))
