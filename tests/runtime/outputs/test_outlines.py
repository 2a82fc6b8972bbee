from __future__ import annotations

import numpy as np
import pytest
import shapely
from seg_runtime.outputs.outlines import outlines, regions_of

from tests.support.objectmaps import ODD


def united(mask: np.ndarray) -> shapely.Geometry:
    """The union of the squares of all pixels, by shapely."""
    rows, columns = np.nonzero(mask)
    return shapely.union_all(shapely.box(columns, rows, columns + 1, rows + 1))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_they_are_the_union_of_the_pixels(share: float) -> None:
    """Valid polygons, which have corners where the direction changes only, so that as few as possible are written."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        mask = rng.random(rng.integers(1, 9, 2)) < share
        found = outlines(mask)
        polygons = shapely.MultiPolygon([(piece[0], piece[1:]) for piece in found])
        assert polygons.is_valid
        assert polygons.equals(united(mask))
        for ring in (ring for piece in found for ring in piece):
            steps = np.diff(ring, axis=0, append=ring[:1])
            assert ((steps == 0).sum(axis=1) == 1).all()
            assert ((steps[:, 0] == 0) != (np.roll(steps, 1, axis=0)[:, 0] == 0)).all()


def test_pieces_and_holes() -> None:
    regions = {region.number: region.pieces() for region in regions_of(ODD)}
    assert {number: [len(piece) for piece in pieces] for number, pieces in regions.items()} == {
        1: [2], 2: [1], 3: [1, 1], 4: [1], 5: [1, 1], 6: [3], 7: [1], 8: [1, 1, 1], 9: [1],
    }  # fmt: skip
    assert regions[1][0][0].tolist() == [[0, 0], [5, 0], [5, 5], [0, 5]]
    assert regions[1][0][1].tolist() == [[1, 1], [1, 4], [4, 4], [4, 1]]  # the other way round
    assert regions[4][0][0].tolist() == [[10, 0], [11, 0], [11, 1], [10, 1]]


def test_nothing_has_no_outline() -> None:
    assert outlines(np.zeros((3, 4), bool)) == []
    assert list(regions_of(np.zeros((3, 4), np.int32))) == []
