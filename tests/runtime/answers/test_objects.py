"""Objects from the maps of a network: by hand, whatever the tiling, and within their margins."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from seg_runtime import SegError
from seg_runtime.answers import Objects, answer_of, unmatched
from seg_runtime.model import ClassInfo, Contract, ObjectSpec
from seg_runtime.pipeline import Float, Scaling, segment

from tests.support.contracts import contract
from tests.support.touching import discs, of_objects

THREE = (ClassInfo("background", (0, 0, 0)), ClassInfo("a", (255, 0, 0)), ClassInfo("b", (0, 255, 0)))


def of_grey(window: Float, contract: Contract) -> Float:
    """A network of single pixels: grey values become maps, so all windows agree wherever they lie."""
    (before, _), (inner, _) = contract.geometry.input_shape, contract.geometry.output_shape
    edge = (before - inner) // 2
    grey = window[:, 0, edge : edge + inner, edge : edge + inner]  # (n, h, w), 0 to 1
    spec = contract.answer
    assert isinstance(spec, ObjectSpec)
    own = [4 - 12 * grey, 12 * grey - 4]
    apart = [5 - 30 * np.abs(grey - 0.4)] if spec.separation == "border" else [9 * grey - 5, -6 * grey]
    return np.stack([*own, *apart], axis=1).astype(np.float32)


def touching(shape: tuple[int, int] = (150, 170)) -> tuple[NDArray[np.uint8], int]:
    """An image of discs in rows that touch, darker at their edges, and their number."""
    centres = [(row, column) for row in range(16, shape[0] - 16, 30) for column in range(16, shape[1] - 16, 23)]
    rows, columns = np.indices(shape)
    grey = np.zeros(shape)
    for row, column in centres:
        grey = np.maximum(grey, 240 - 13 * np.hypot(rows - row, columns - column))
    return grey.clip(0, 255).astype(np.uint8)[..., None], len(centres)


@pytest.mark.parametrize("separation", ["border", "distance"])
def test_objects_that_touch_are_found_whatever_the_windows(separation: str) -> None:
    image, count = touching()
    found = []
    for window in (204, 236, 380):  # outputs of 20, 52 and 196 px, the last one larger than the image
        how = of_objects(separation, window)
        found.append(answer_of(how).segment(image, lambda w, how=how: of_grey(w, how)))  # type: ignore[misc]
    assert found[0][0].max() == count
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_an_object_of_several_windows_is_one() -> None:
    image = 255 * (discs((120, 120), [(60, 60)], 50) > 0).astype(np.uint8)[..., None]
    how = of_objects("border", 204)
    ids, labels, _ = answer_of(how).segment(image, lambda w: of_grey(w, how))
    np.testing.assert_array_equal(ids, image[..., 0] > 0)
    np.testing.assert_array_equal(labels, ids)


def test_the_confidence_is_the_probability_of_an_object() -> None:
    answer = Objects(of_objects("border"))
    logits = np.random.default_rng(0).normal(0, 3, (3, 20, 30)).astype(np.float32)
    whole = answer.whole(answer.window(logits))
    found = answer.confidence(SimpleNamespace(answer=whole))  # type: ignore[arg-type]
    odds = np.exp(logits.astype(np.float64))
    np.testing.assert_allclose(found, 1 - odds[0] / odds.sum(axis=0), atol=0.5 / 255 + 1e-6)


def test_slices_of_a_volume_form_objects_of_the_volume() -> None:
    plane = 255 * (discs((30, 30), [(15, 15)], 6) > 0).astype(np.uint8)
    volume = np.stack([plane, plane, np.zeros_like(plane), plane])[..., None]
    how = of_objects("distance", 204)
    ids = answer_of(how).segment(volume, lambda w: of_grey(w, how))[0]
    assert ids.shape == (4, 30, 30)
    assert [int(slice_.max()) for slice_ in ids] == [1, 1, 0, 2]


def test_the_class_of_an_object_is_that_of_most_of_its_pixels() -> None:
    answer = Objects(of_objects("border", classes=THREE))
    logits = np.full((4, 1, 6), -9, np.float32)
    logits[0] = 0
    logits[1, 0, 1:3], logits[2, 0, 3:5], logits[1, 0, 3] = 5, 9, 8
    logits[2, 0, 1] = 9
    ids, labels, _ = answer.whole(answer.window(logits))
    assert ids.tolist() == [[0, 1, 1, 1, 1, 0]]
    assert labels.tolist() == [[0, 2, 2, 2, 2, 0]]
    record = answer.record(answer.whole(answer.window(logits)))
    assert record["objects"] == 1
    assert [entry.get("objects") for entry in record["classes"]] == [None, 0, 1]


@pytest.mark.parametrize("classes", [THREE[:2], THREE])
@pytest.mark.parametrize("separation", ["border", "distance"])
def test_an_error_of_every_logit_changes_no_decision_beyond_its_margin(
    separation: str, classes: tuple[ClassInfo, ...]
) -> None:
    answer = Objects(of_objects(separation, classes=classes, mask_threshold=0.37, seed_threshold=0.61))
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (answer.spec.maps, 200, 200)).astype(np.float32)
    for size in (1e-3, 1e-2, 0.1):
        other = logits + size * rng.choice([-1, 1], logits.shape).astype(np.float32)
        flips = answer.decision(logits) != answer.decision(other)
        assert flips.any()  # so many pixels are undecided
        assert answer.margins(logits)[flips].max() <= 2.001 * size


def test_the_decision_is_the_class_and_whether_it_is_the_interior() -> None:
    answer = Objects(of_objects("distance"))
    logits = np.array([[0, 0, 0], [-9, 9, 9], [9, -9, 9], [-9, -9, -9]], np.float32)[:, None]
    assert answer.decision(logits).tolist() == [[0, 1, 3]]
    near = logits.copy()
    near[3] = 9  # c - n² is about 0 beside another object
    assert answer.decision(near).tolist() == [[0, 1, 1]]


def test_a_summary_of_decisions_is_stitched_like_an_answer() -> None:
    image, _ = touching((60, 60))
    how = of_objects("border", 204)
    answer = answer_of(how)
    whole = answer.decided(answer.stitched(image, lambda w: of_grey(w, how)))
    assert whole.shape == (60, 60)
    ids = answer.segment(image, lambda w: of_grey(w, how))[0]
    assert ((whole > 0) | (ids == 0)).all()


def test_objects_on_the_grid_of_a_coarse_image_are_numbered_again() -> None:
    """Of three objects on a grid of 6 × 6, the second one, at an even row, lies between the pixels of one of 3 × 3."""
    ids = np.zeros((6, 6), np.int32)
    ids[1, :3], ids[2, 3:], ids[5] = 1, 2, 3
    grown = np.stack([ids, ids > 0, 200 * (ids > 0)]).astype(np.int32)
    how = answer_of(of_objects())
    found = how.unscaled(grown, Scaling((3, 3), (6, 6), (1e-3, 1e-3)))
    assert found[0].tolist() == [[1, 0, 0], [0, 0, 0], [2, 2, 2]]
    record = how.record(found)
    assert (record["objects"], record["classes"][1]["objects"], record["classes"][1]["pixels"]) == (2, 2, 4)
    assert how.unscaled(grown, Scaling((6, 6), (6, 6))) is grown


def test_parts_of_results() -> None:
    image, count = touching((60, 60))
    how = of_objects("border", 204)
    answer = answer_of(how)
    found = answer.segment(image, lambda w: of_grey(w, how))
    labels, ids = answer.part(found, "labels"), answer.part(found, "objects")
    assert labels is not None
    assert ids is not None
    assert (labels.dtype, ids.dtype) == (np.uint8, np.int32)
    np.testing.assert_array_equal(labels > 0, ids > 0)
    assert answer.part(found, "values") is None
    plain = answer_of(contract())
    components = plain.part(labels, "objects")
    assert components is not None
    assert components.max() < count  # what touches is one component
    assert unmatched(components, components) == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("separation", "flow"),
        ("mask_threshold", 0.0),
        ("seed_threshold", 1.0),
        ("peak_px", -0.5),
        ("smallest_px", -1),
        ("classes", THREE[:1]),
    ],
)
def test_fields_that_make_no_sense_are_refused(field: str, value: object) -> None:
    with pytest.raises(SegError):
        of_objects(**{field: value})


def test_a_contract_is_stored_with_its_thresholds() -> None:
    how = of_objects("distance", seed_threshold=0.7, peak_px=0.25, smallest_px=12, fill_holes=False)
    assert Contract.from_json(how.to_json()) == how
    assert replace(how) == how


def test_whole_images_and_windows_agree_on_planes() -> None:
    image, _ = touching((100, 90))
    how = of_objects("distance", 204)
    answer = Objects(how)
    found, probabilities = segment(image, how, lambda w: of_grey(w, how), answer)
    assert probabilities is None
    assert found.shape == (3, 100, 90)
