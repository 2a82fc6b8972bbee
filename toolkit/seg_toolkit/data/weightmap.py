"""The weight map of Ronneberger et al. 2015, equation 2: w(x) = w_c(x) + w0 · exp(-(d1(x) + d2(x))² / (2σ²))."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.support import SegError


def _touching(axes: int) -> NDArray[np.bool_]:
    """Structuring element of a pixel and its neighbours: 8 in an image, 26 in a volume."""
    return np.ones((3,) * axes, bool)


def weight_map(
    instances_or_labels: NDArray[Any], class_weights: Sequence[float], w0: float = 10.0, sigma_px: float = 5.0
) -> NDArray[np.float32]:
    """Compute the weight of each pixel in the loss: the class weight plus a border term in the gaps between cells.

    d1 and d2 are the distances in px to the nearest and the second nearest cell. The border term is 0 inside cells, and
    0 everywhere if there are fewer than two cells.

    Args:
        instances_or_labels: `(*spatial)` integers, 0 for the background. If all values are below `len(class_weights)`, they
            are class indices: cells are the connected components of a class, and touching cells are separated by
            morphology (`split_touching`). Otherwise they are ids, one per cell, and all cells have class 1.
        class_weights: weight w_c per class, background first.
        w0: height of the border term.
        sigma_px: width of the border term.

    Returns:
        `(*spatial)` float32.

    Raises:
        SegError: if the array has no integers or negative values, or `sigma_px` is not positive.
    """
    cells = np.asarray(instances_or_labels)
    if cells.ndim < 2 or cells.dtype.kind not in "iub" or (cells.size and cells.min() < 0):
        raise SegError(
            f"the cells have shape {cells.shape} and dtype {cells.dtype}",
            "(*spatial) integers from 0",
            "pass ids or class indices",
        )
    if sigma_px <= 0 or len(class_weights) < 2:
        raise SegError(
            f"sigma_px is {sigma_px}, and there are {len(class_weights)} class weights",
            "a positive sigma_px and 2 or more weights",
            "correct the arguments",
        )
    are_labels = not cells.size or int(cells.max()) < len(class_weights)
    classes = cells if are_labels else np.minimum(cells, 1)
    weights = np.asarray(class_weights, np.float64)[classes.astype(np.intp)]
    if w0:
        weights += border_term(split_touching(cells) if are_labels else cells, w0, sigma_px)
    return weights.astype(np.float32)


def border_term(instances: NDArray[Any], w0: float, sigma_px: float) -> NDArray[np.float64]:
    """Compute w0 · exp(-(d1 + d2)² / (2σ²)) outside cells and 0 inside, `(*spatial)` float64, from `(*spatial)` ids.

    Distances are computed only near each cell: beyond 6σ the term is below 2e-8 · w0 and set to 0.
    """
    reach = int(np.ceil(6 * sigma_px))
    nearest = np.full((2, *instances.shape), np.inf)
    for identity, box in enumerate(ndimage.find_objects(instances), 1):
        if box is None:
            continue
        near: tuple[slice, ...] = tuple(slice(max(0, s.start - reach), s.stop + reach) for s in box)
        distance = ndimage.distance_transform_edt(instances[near] != identity)
        first, second = nearest[0][near], nearest[1][near]
        np.copyto(second, np.minimum(second, np.maximum(first, distance)))
        np.copyto(first, np.minimum(first, distance))
    term = w0 * np.exp(-np.square(nearest.sum(axis=0)) / (2 * sigma_px**2))
    return np.where(instances > 0, 0.0, term)


def split_touching(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Split a semantic mask `(*spatial)` of class indices into cells: `(*spatial)` int32 ids, 0 for the background.

    Connected components of a class are cells. A component with a neck, narrower than three quarters of the width on both
    sides, is two touching cells: each pixel is assigned to the nearer side, and the seam becomes background.
    """
    instances = np.zeros(labels.shape, np.int32)
    for value in np.unique(labels):
        if value == 0:
            continue
        parts, _ = ndimage.label(labels == value, _touching(labels.ndim))
        for index, box in enumerate(ndimage.find_objects(parts), 1):
            part = np.pad(parts[box] == index, 1)
            pieces = _pieces(part)[(slice(1, -1),) * part.ndim]
            target = instances[box]
            target[pieces > 0] = pieces[pieces > 0] + instances.max()
    return instances


NECK = 0.75  # a connection is a neck below this fraction of the depth on both sides


def _pieces(part: NDArray[np.bool_]) -> NDArray[np.int32]:
    depth = ndimage.distance_transform_edt(part)
    cores, count = ndimage.label(_cores(depth), _touching(part.ndim))
    if count == 1:
        return part.astype(np.int32)
    nearest = ndimage.distance_transform_edt(cores == 0, return_distances=False, return_indices=True)
    owner = np.where(part, cores[tuple(nearest)], 0).astype(np.int32)
    return np.where(_seams(owner), 0, owner)


def _cores(depth: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find one area inside each cell: raise the level until the area splits at a neck, then continue with each piece."""
    found = np.zeros(depth.shape, bool)
    waiting = [depth > 0]
    while waiting:
        area = waiting.pop()
        for level in np.arange(1.0, depth[area].max(), 0.5):
            pieces, count = ndimage.label(area & (depth > level), _touching(depth.ndim))
            tops = ndimage.maximum(depth, pieces, np.arange(1, count + 1))
            cells = [i for i, top in enumerate(np.atleast_1d(tops), 1) if level <= NECK * top]
            if len(cells) > 1:
                waiting += [pieces == i for i in cells]
                break
        else:
            found |= area
    return found


def _seams(instances: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the pixels that touch a cell with a higher id (see `_touching`): `(*spatial)` ids -> `(*spatial)` bool."""
    highest = ndimage.maximum_filter(instances, footprint=_touching(instances.ndim), mode="nearest")
    return (instances > 0) & (highest > instances)
