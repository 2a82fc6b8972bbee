"""Objects from masks: watershed of the depth and connected components, with scikit-image. Pixels are connected by sides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support import require_extra

Ids = NDArray[np.int32]
"""`(*spatial)` ids of objects from 1 without gaps, 0 for no object."""
SMOOTH_PX = 1.0  # standard deviation of the Gaussian that removes peaks which outlines of pixels make
DEPTH_STEPS = 16  # of the depth for each px


def grown(
    mask: NDArray[np.bool_], core: NDArray[np.bool_], smallest_px: int = 0, peak_px: float = 0.0, fill: bool = True
) -> Ids:
    """Make objects from a mask, which meet at the necks of its core.

    The depth of a pixel is its distance to the edge of the core, smoothed. A peak of the depth is the seed of an object if it
    rises far enough above its highest neck to a higher peak. Objects grow from the deepest pixels outwards. A part of the
    mask with one seed or none is one object. With `fill`, small holes count as filled until all objects are grown, for they
    may be texture; then those between objects, and between an object and the edge of the image, are background again.

    Args:
        mask: `(*spatial)`, pixels of objects.
        core: `(*spatial)`, pixels well inside of objects.
        smallest_px: objects of fewer px are left out.
        peak_px: least rise of the depth in px from a neck to a peak; 0 makes each connected part of the core a seed.
        fill: make background that is inside of an object part of it.

    Raises:
        SegError: scikit-image is not installed.
    """
    require_extra("objects", "skimage")
    from skimage.measure import label
    from skimage.segmentation import watershed

    given = mask
    if fill:
        mask, core = (_without_small_holes(pixels, smallest_px) for pixels in (mask, core))
    core = core & mask
    parts: Ids = label(mask, connectivity=1).astype(np.int32, copy=False)
    height = _depth(core)
    tops = _peaks(height) if peak_px else core
    markers: Ids = label(tops, connectivity=1).astype(np.int32, copy=False)
    count = _counted(markers, parts)
    ids = np.where(count[parts] <= 1, parts, 0)  # a watershed would change nothing, but is slow
    several = count[parts] > 1
    if several.any():
        top = int(parts.max(initial=0))
        apart: Ids = watershed(-height, np.where(several, markers, 0), connectivity=1, mask=several).astype(np.int32)
        apart = _joined(apart, height, peak_px)
        np.copyto(ids, apart + np.int32(top), where=several)
    ids = renumbered(np.where(given, ids, 0), smallest_px)
    return _filled(ids) if fill else ids


def _without_small_holes(pixels: NDArray[np.bool_], smallest_px: int) -> NDArray[np.bool_]:
    """Fill holes of fewer px than the smallest object; the image may end in a hole."""
    from skimage.measure import label

    holes: Ids = label(~pixels, connectivity=1).astype(np.int32, copy=False)
    small = np.bincount(holes.ravel()) < smallest_px
    return pixels | small[holes]


def _depth(core: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the distance to the edge of the core, smoothed, in steps of 1 / `DEPTH_STEPS` px, so that rounding errors of the
    distance make no peaks; 0 outside."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(core).astype(np.float32)
    smooth = ndimage.gaussian_filter(depth, SMOOTH_PX, truncate=4)
    return np.where(core, np.rint(smooth * np.float32(DEPTH_STEPS)), 0).astype(np.int32)


def _peaks(height: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Mark pixels that are as high as all their neighbours."""
    from scipy import ndimage

    found: NDArray[np.bool_] = (height > 0) & (height == ndimage.maximum_filter(height, size=3))
    return found


def _joined(basins: Ids, height: NDArray[np.int32], peak_px: float) -> Ids:
    """Join basins of a watershed whose lower peak rises less than `peak_px` above the neck between them, the highest necks
    first. The h-maxima transform would give the same peaks, but takes several times as long."""
    count = int(basins.max(initial=0)) + 1
    peaks = np.zeros(count, np.int32)
    inside = basins > 0
    np.maximum.at(peaks, basins[inside], height[inside])
    pairs, necks = [], []
    for axis in range(basins.ndim):
        first, second = (np.moveaxis(basins, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        meet = (first != second) & (first > 0) & (second > 0)
        own, other = first[meet].astype(np.int64), second[meet].astype(np.int64)
        pairs.append(np.minimum(own, other) * count + np.maximum(own, other))
        heights = (np.moveaxis(height, axis, 0)[part][meet] for part in (slice(None, -1), slice(1, None)))
        necks.append(np.minimum(*heights))
    pair, neck = np.concatenate(pairs), np.concatenate(necks)
    order = np.lexsort((-neck, pair))
    pair, neck = pair[order], neck[order]
    firsts = np.flatnonzero(np.diff(pair, prepend=-1))  # the highest neck of each pair
    pair, neck = pair[firsts], neck[firsts]
    owner = list(range(count))

    def root(basin: int) -> int:
        while owner[basin] != basin:
            owner[basin] = basin = owner[owner[basin]]
        return basin

    for place in np.argsort(-neck, kind="stable").tolist():
        lower, higher = sorted(map(root, divmod(int(pair[place]), count)), key=lambda basin: (peaks[basin], basin))
        if lower != higher and peaks[lower] - neck[place] < peak_px * DEPTH_STEPS:
            owner[lower] = higher
    return np.array([root(basin) for basin in range(count)], np.int32)[basins]


def components(labels: NDArray[np.uint8], smallest_px: int = 0) -> Ids:
    """Return the connected components of each class except the background, 0.

    >>> components(np.array([[1, 1, 0, 1], [0, 2, 2, 0]], np.uint8)).tolist()
    [[1, 1, 0, 2], [0, 3, 3, 0]]
    """
    require_extra("objects", "skimage")
    from skimage.measure import label

    return renumbered(label(labels, background=0, connectivity=1).astype(np.int32, copy=False), smallest_px)


def renumbered(ids: Ids, smallest_px: int = 0) -> Ids:
    """Leave out objects of fewer px, and number the others in the order of their first pixels."""
    areas = np.bincount(ids.ravel())
    areas[0] = 0
    kept = np.flatnonzero(areas >= max(1, smallest_px))
    chosen = np.zeros(len(areas), bool)
    chosen[kept] = True
    flat = ids.ravel()
    places = np.flatnonzero(chosen[flat])
    first = np.full(len(areas), flat.size, np.int64)
    first[flat[places[::-1]]] = places[::-1]  # of repeated indices, numpy keeps the last one: the first pixel
    order = kept[np.argsort(first[kept], kind="stable")]
    table = np.zeros(len(areas), np.int32)
    table[order] = np.arange(1, len(order) + 1, dtype=np.int32)
    found: Ids = table[ids]
    return found


def classes_of(ids: Ids, votes: NDArray[np.uint8], classes: int) -> Ids:
    """Return the class of each pixel `(*spatial)` int32: the one that most pixels of its object have.

    Args:
        ids: `(*spatial)` ids from 1.
        votes: `(*spatial)` class index of each pixel, 1 or more.
        classes: number of classes, with the background.
    """
    if classes == 2:
        return (ids > 0).astype(np.int32)
    count = int(ids.max(initial=0)) + 1
    ballots = np.bincount(ids.ravel().astype(np.int64) * classes + votes.ravel(), minlength=count * classes)
    winners = ballots.reshape(count, classes).argmax(axis=1).astype(np.int32)
    winners[0] = 0
    found: Ids = winners[ids]
    return found


def _counted(markers: Ids, parts: Ids) -> NDArray[np.int64]:
    """Return the number of markers in each part, by its id; 0 for the background."""
    _, first = np.unique(markers, return_index=True)
    owners = parts.ravel()[first]
    count = np.bincount(owners, minlength=int(parts.max(initial=0)) + 1)
    count[0] = 0
    return count


def _filled(ids: Ids) -> Ids:
    """Fill background that one object encloses."""
    from scipy import ndimage
    from skimage.measure import label

    full = ids.copy()
    around: Ids = label(ids == 0, connectivity=1).astype(np.int32, copy=False)
    open_ended = np.zeros(int(around.max(initial=0)) + 1, bool)
    open_ended[0] = True
    for axis in range(ids.ndim):
        for end in (0, -1):
            open_ended[around.take(end, axis)] = True
    enclosed = ~open_ended[around]  # by one object or by several
    for number, box in enumerate(ndimage.find_objects(ids), 1):
        if box is None or not enclosed[box].any():
            continue
        part: Any = ids[box]
        own = part == number
        holes = ndimage.binary_fill_holes(own) & (part == 0)
        full[box][holes] = number
    return full


def unmatched(ids: NDArray[Any], others: NDArray[Any]) -> int:
    """Return the number of objects of either array `(*spatial)` that share no more than half of their union with any object
    of the other, so that an object has at most one partner."""
    return matched(ids, others)[0]


def matched(ids: NDArray[Any], others: NDArray[Any]) -> tuple[int, int]:
    """Return `unmatched`, and the number of px that do not have the same object: neither partners nor both background."""
    count = int(others.max(initial=0)) + 1
    pairs, shared = np.unique(ids.astype(np.int64) * count + others, return_counts=True)
    own, other = pairs // count, pairs % count
    areas, other_areas = (np.bincount(part, shared) for part in (own, other))
    both = (own > 0) & (other > 0)
    partners = both & (2 * shared > areas[own] + other_areas[other] - shared)
    alone = int((areas[1:] > 0).sum() + (other_areas[1:] > 0).sum()) - 2 * int(partners.sum())
    return alone, int(shared[~partners & (pairs > 0)].sum())
