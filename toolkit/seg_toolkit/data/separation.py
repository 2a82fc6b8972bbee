"""Training targets that separate objects which touch, from the ids of objects.

Each object is described inside its own box, so the time does not depend on the number of objects times the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BORDER_PX = 2.0
"""Largest width of the border of an object."""
_THIN = 0.5  # largest width of the border as a fraction of the depth of the object, so that small ones keep an interior
_REACH_PX = 30  # distance at which an object is no neighbour
_STEEPNESS = 3  # power of the nearness, as in the paper


def border(instances: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the border of each object: the outer `BORDER_PX`, or half of its depth if it is thin.

    Args:
        instances: `(*spatial)` ids, 0 for the background.
    """
    marked = np.zeros(instances.shape, bool)
    for _, box, own, depth in _each(instances):
        width = min(BORDER_PX, _THIN * float(depth.max()))
        marked[box] |= own & (depth <= width)
    return marked


def distances(instances: NDArray[Any]) -> NDArray[np.float32]:
    """Compute the cell distance and the neighbour distance of Scherr et al. 2020 (PLoS ONE 15, e0243219).

    The first is the distance to the edge of the object, divided by its largest one. The second is (1 - d / r)³ inside of
    objects, where d is the distance to the nearest other object, less the 1 px of objects that touch, and r is the largest
    such distance in the object, but at most 30 px. Both are 0 in the background, except that narrow gaps between objects are
    closed in the second, as in the paper.

    Args:
        instances: `(*spatial)` ids, 0 for the background.

    Returns:
        `(2, *spatial)` float32, 0..1.
    """
    found = np.zeros((2, *instances.shape), np.float32)
    for number, box, own, depth in _each(instances):
        found[0][box][own] = (depth / depth.max())[own]
        around = tuple(slice(max(0, s.start - _REACH_PX), s.stop + _REACH_PX) for s in box)
        part = instances[around]
        others = (part > 0) & (part != number)
        if others.any():
            away = ndimage.distance_transform_edt(~others)
            inside = part == number
            reach = min(_REACH_PX, float(away[inside].max()))  # so that the far side of a small object is not near
            found[1][around][inside] = np.clip(1 - (away[inside] - 1) / reach, 0, 1) ** _STEEPNESS
    gaps = ndimage.grey_closing(found[1], size=(3,) * instances.ndim)
    np.copyto(found[1], gaps, where=instances == 0)
    return found


def _each(
    instances: NDArray[Any],
) -> Iterator[tuple[int, tuple[slice, ...], NDArray[np.bool_], NDArray[np.float64]]]:
    """Yield the id, the box, the pixels and their distances to the edge of each object; the edge of the image is none."""
    for number, box in enumerate(ndimage.find_objects(instances), 1):
        if box is None:
            continue
        wide = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
        own = instances[wide] == number
        yield number, wide, own, np.asarray(ndimage.distance_transform_edt(own) if not own.all() else own + 0.0)
