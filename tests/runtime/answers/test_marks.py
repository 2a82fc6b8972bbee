from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from seg_runtime.answers.marks import COLORS, colors_apart, number_objects, outline_objects
from seg_runtime.answers.overlay import blend, overlay

from tests.support.objectmaps import ODD, THREE


def test_outlines_lie_on_the_pixels_of_their_objects() -> None:
    ids = np.zeros((5, 8), np.int32)
    ids[1:5, 1:5], ids[1:5, 5:8] = 2, 9
    picture = np.full((5, 8, 3), 7, np.uint8)
    outline_objects(picture, ids)
    inner = np.zeros((5, 8), bool)
    inner[2:, 2:4] = inner[2:, 6:] = True  # at the edge of the image there is no outline
    colors = COLORS[colors_apart(ids)]
    np.testing.assert_array_equal(picture[(ids == 0) | inner], 7)
    for number in (2, 9):
        own = (ids == number) & ~inner
        assert own.any()
        np.testing.assert_array_equal(picture[own], np.broadcast_to(colors[number], (own.sum(), 3)))
    assert (colors[2] != colors[9]).any()  # both have the same place in the cycle of colours


@pytest.mark.parametrize("gap", [0, 3])
def test_neighbours_differ_in_colour(gap: int) -> None:
    """Squares in a random order, of which the four beside each are near."""
    side, many = 6 + gap, 12
    order = np.random.default_rng(0).permutation(many**2).reshape(many, many) + 1
    ids = order.repeat(side, 0).repeat(side, 1)
    lines = np.arange(many * side) % side >= 6
    ids[lines] = 0
    ids[:, lines] = 0
    found = colors_apart(ids)[order]
    assert (found[1:] != found[:-1]).all()
    assert (found[:, 1:] != found[:, :-1]).all()


def test_more_neighbours_than_colours_get_one_all_the_same() -> None:
    ids = np.zeros((3, 40), np.int32)
    ids[1], ids[0] = 20, np.arange(40) // 4 + 1
    assert colors_apart(ids).max() < len(COLORS)


def test_numbers_fit_into_their_objects() -> None:
    ids = np.zeros((70, 120), np.int32)
    ids[2:62, 2:62], ids[5:9, 70:74], ids[30:60, 70:115] = 1, 2, 345
    picture = Image.new("RGB", (120, 70), (60, 60, 60))
    number_objects(picture, ids)
    changed = (np.asarray(picture) != 60).any(axis=-1)
    assert set(np.unique(ids[changed])) == {1, 345}
    height = [np.ptp(np.nonzero(changed & (ids == number))[0]) for number in (1, 345)]
    assert all(10 < each < 18 for each in height)


def test_a_ring_has_no_number_in_its_hole() -> None:
    ids = np.zeros((60, 60), np.int32)
    ids[5:55, 5:55] = 1
    ids[12:48, 12:48] = 0
    picture = Image.new("RGB", (60, 60))
    number_objects(picture, ids)
    assert not np.asarray(picture).any()


def test_an_overlay_of_objects_is_always_the_same_and_of_volumes_has_no_numbers() -> None:
    ids = ODD.repeat(12, 0).repeat(12, 1)
    labels, image = (ids > 0).astype(np.uint8), np.zeros((*ids.shape, 1), np.uint8)
    first, again = (np.asarray(overlay(image, labels, THREE, None, ids, {1: 9})) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    plain = blend(np.zeros((*ids.shape, 3), np.uint8), labels, THREE, ids)
    assert (first[: len(ids), : ids.shape[1]] != plain).any()
    solid = np.asarray(overlay(image[None], labels[None], THREE, None, ids[None], {1: 9}))
    np.testing.assert_array_equal(solid[: len(ids), : ids.shape[1]], plain)


def test_no_object_leaves_the_picture() -> None:
    picture = np.full((4, 5, 3), 9, np.uint8)
    outline_objects(picture, np.zeros((4, 5), np.int32))
    number_objects(Image.fromarray(picture), np.zeros((4, 5), np.int32))
    assert (picture == 9).all()
