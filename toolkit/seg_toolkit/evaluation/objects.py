"""Split and merge errors of objects, as in ISBI 2012: adapted Rand error and variation of information.

Both are computed by scikit-image, the maintained library that has both (Arganda-Carreras et al. 2015, doi
10.3389/fnana.2015.00142; Meilă 2007, doi 10.1016/j.jmva.2006.11.013). They compare two partitions of the pixels into
objects. 0 is perfect. The Rand error is at most 1, the variation is in bits.

True objects are the instances, or without instances the connected components of a class (4 neighbours in an image, 6 in
a volume). The background (the membranes in em-membranes) is not an object, and its px are left out. In the prediction,
each background px is assigned to the nearest object, so that a membrane is a line without width; the challenge also
thinned borders before scoring. The challenge used the best of all thresholds; here it is the threshold of the model.

An image without a true object does not count. A prediction without objects is one object that merges everything.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.answers import components

Ids = NDArray[np.integer[Any]]
"""`(*spatial)` object ids from 1, 0 for no object."""


def object_scores(
    truth: NDArray[np.uint8], labels: NDArray[np.uint8], names: Collection[str],
    instances: NDArray[Any] | None = None, known: NDArray[np.bool_] | None = None, found: NDArray[Any] | None = None,
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """Compute scores `(1,)` by name. `voi` also gives its two parts, split and merge.

    Args:
        truth: `(*spatial)` true class indices.
        labels: `(*spatial)` predicted class indices.
        names: names among `rand` and `voi`.
        instances: `(*spatial)` ids of the true objects; None uses the connected components of each class.
        known: `(*spatial)` bool, annotated px; others are left out. None for all.
        found: `(*spatial)` ids of the found objects; None uses the connected components of each class.
    """
    from skimage.metrics import adapted_rand_error, variation_of_information

    objects = components(truth) if instances is None else instances
    if known is not None:
        objects = np.where(known, objects, 0)
    counts, answer = bool(objects.any()), _without_gaps(components(labels) if found is None else found)
    scores: dict[str, NDArray[np.float64]] = {}
    if "rand" in names:
        with np.errstate(invalid="ignore"):  # objects of one px have no pairs of px
            error = adapted_rand_error(objects, answer, ignore_labels=(0,))[0] if counts else np.nan
        scores["rand"] = np.array([error])
    if "voi" in names:
        parts = variation_of_information(objects, answer, ignore_labels=(0,)) if counts else np.full(2, np.nan)
        scores |= {"voi": parts.sum(keepdims=True), "voi split": parts[:1], "voi merge": parts[1:]}
    return scores


def _without_gaps(objects: Ids) -> Ids:
    """Assign each px between objects to the nearest object."""
    from skimage.segmentation import expand_labels

    if not objects.any():
        return objects
    grown: Ids = expand_labels(objects, sum(objects.shape))
    return grown
