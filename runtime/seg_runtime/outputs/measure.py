"""Measure objects, with the names and the definitions of `skimage.measure.regionprops_table`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..answers import answer_of
from ..pipeline import Array, is_grey
from ..support import require_extra

if TYPE_CHECKING:
    from ..formats import PageResult

Measurements = dict[str, NDArray[Any]]
"""Column -> `(n,)`, a value for each object, in the order of the ids."""
_PLACE = ("label", "centroid", "bbox", "area")
_FLAT = ("perimeter", "eccentricity", "solidity", "orientation")  # a volume has none, or only by a slow convex hull
_GREY = ("intensity_mean", "intensity_min", "intensity_max", "intensity_std")
_BLOCK = 1 << 20  # px whose grey values are converted to float64 at a time
_UM, _MM = 1e3, 1.0  # in a mm


def measured(ids: Array, image: Array, spacing_mm: tuple[float, ...] | None = None) -> Measurements:
    """Return the measures of objects.

    >>> found = measured(np.array([[1, 1, 0], [0, 0, 2]]), np.array([[9, 5, 0], [0, 0, 7]])[..., None])
    >>> found["area"].tolist(), found["intensity_mean-0"].tolist(), found["touches_edge"].tolist()
    ([2, 1], [7.0, 7.0], [1, 1])

    Args:
        ids: `(*spatial)` ids of objects, 0 for none.
        image: `(*spatial, C)` grey values.
        spacing_mm: size of a pixel or voxel along each axis; None if unknown.

    Returns:
        The columns of scikit-image in px, then those in physical units, whose names end with the unit. Of volumes the
        area is the number of voxels, and there are no shapes. A perimeter in µm needs square pixels.

    Raises:
        SegError: scikit-image is not installed.
    """
    require_extra("objects", "skimage")
    from skimage.measure import regionprops_table

    names = (*_PLACE, "equivalent_diameter_area", *(_FLAT if ids.ndim == 2 else ()))
    found: Measurements = regionprops_table(ids, properties=names)
    found |= _brightness(ids, image, found["label"], found["area"])
    lowest = np.stack([found[f"bbox-{axis}"] for axis in range(ids.ndim)])
    highest = np.stack([found[f"bbox-{axis + ids.ndim}"] for axis in range(ids.ndim)])
    ends = np.array(ids.shape)[:, None]
    found["area"] = found["area"].astype(np.int64)
    found["touches_edge"] = ((lowest == 0) | (highest == ends)).any(axis=0).astype(np.uint8)
    return found if spacing_mm is None else {**found, **_physical(found, spacing_mm[-ids.ndim :])}


def _brightness(ids: Array, image: Array, numbers: NDArray[Any], areas: NDArray[Any]) -> Measurements:
    """Return the columns `_GREY` of the objects `numbers`, each for all channels.

    Sums are those of float64 numbers, in blocks. scikit-image adds the float32 values of several channels one by one in
    float32, so that the mean of a million of them is wrong by percents.
    """
    flat, channels = ids.ravel(), range(image.shape[-1])
    found: Measurements = {f"{name}-{channel}": np.empty(0) for name in _GREY for channel in channels}
    for channel in channels:
        values = image[..., channel].ravel()
        sums, squares, means = (np.zeros(int(flat.max(initial=0)) + 1) for _ in range(3))
        low, high = np.full(len(sums), np.inf), np.full(len(sums), -np.inf)
        for own, grey in _blocks(flat, values):
            sums += np.bincount(own, grey, len(sums))
            np.minimum.at(low, own, grey)
            np.maximum.at(high, own, grey)
        means[numbers] = sums[numbers] / areas
        for own, grey in _blocks(flat, values):
            with np.errstate(invalid="ignore"):  # an infinite value has no distance to its mean
                squares += np.bincount(own, np.square(grey - means[own]), len(sums))
        columns = means[numbers], low[numbers], high[numbers], np.sqrt(squares[numbers] / areas)
        found |= {f"{name}-{channel}": column for name, column in zip(_GREY, columns, strict=True)}
    return found


def _blocks(flat: NDArray[Any], values: NDArray[Any]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Yield the ids and the grey values of the pixels of objects."""
    for start in range(0, flat.size, _BLOCK):
        own, grey = (part[start : start + _BLOCK] for part in (flat, values))
        inside = own > 0
        yield own[inside].astype(np.intp), grey[inside].astype(np.float64)


def _physical(found: Measurements, spacing_mm: tuple[float, ...]) -> Measurements:
    """Convert measures to µm of images, and to mm of volumes."""
    flat = len(spacing_mm) == 2
    unit, scale = ("um", _UM) if flat else ("mm", _MM)
    sides = [side * scale for side in spacing_mm]
    size = found["area"] * math.prod(sides)
    result = {"area_um2": size} if flat else {"volume_mm3": size, "volume_ml": size / 1e3}
    if flat and math.isclose(*sides, rel_tol=1e-3):
        result["perimeter_um"] = found["perimeter"] * sides[0]
    diameter = 2 * np.sqrt(size / np.pi) if flat else np.cbrt(6 * size / np.pi)
    result[f"equivalent_diameter_area_{unit}"] = diameter
    result |= {f"centroid-{axis}_{unit}": found[f"centroid-{axis}"] * side for axis, side in enumerate(sides)}
    return result


def measurements_of(result: PageResult) -> Measurements:
    """Return the measures of the objects of a result, with their class and, if the model has probabilities, the mean
    probability of their pixels.

    Axes have the order of the file, see `Place.stored`.

    Raises:
        SegError: the model predicts values, or scikit-image is not installed.
    """
    place = result.place
    grey = result.image[..., :1] if result.image.shape[-1] == 3 and is_grey(result.image) else result.image
    ids, labels, image = (place.stored(values) for values in (result.objects, result.labels, grey))
    found = measured(ids, image, place.stored_spacing_mm)
    numbers = found.pop("label")
    owners = np.zeros(int(ids.max(initial=0)) + 1, np.intp)
    owners[ids] = labels  # all pixels of an object have its class
    names = np.array([entry.name for entry in result.contract.classes], object)
    confidence = answer_of(result.contract).confidence(result)
    if confidence is not None:
        sums = np.bincount(result.objects.ravel(), confidence.ravel(), len(owners))
        found["mean_probability"] = sums[numbers] / found["area"]
    return {"label": numbers, "class": names[owners[numbers]], **found}


def summary_of(result: PageResult) -> dict[str, Any]:
    """Return the numbers and the sizes of the objects of a result, in all and of each class, ready for JSON."""
    table, spacing = result.measurements, result.place.stored_spacing_mm
    ids = result.objects
    facts = {"pixels": ids.size, **_sizes(table, np.ones(len(table["label"]), bool))}
    facts[f"density_per_{'px2' if ids.ndim == 2 else 'voxel'}"] = facts["objects"] / ids.size
    if spacing is not None:
        whole = ids.size * math.prod(spacing[-ids.ndim :])
        facts[f"density_per_mm{ids.ndim}"] = facts["objects"] / whole
    classes = []
    for entry in result.contract.classes[1:]:
        sizes = _sizes(table, table["class"] == entry.name)
        classes.append({"name": entry.name, **sizes, "share": sizes["area"] / ids.size})
    return {**facts, "classes": classes}


def _sizes(table: Mapping[str, NDArray[Any]], chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the number of the chosen objects, and total and mean of their sizes; None if there is none."""
    count = int(chosen.sum())
    sizes: dict[str, Any] = {"objects": count}
    for name in ("area", "area_um2", "volume_mm3"):
        if name in table:
            total = table[name][chosen].sum().item()
            sizes |= {name: total, f"mean_{name}": total / count if count else None}
    return sizes
