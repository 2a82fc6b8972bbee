"""How an answer splits and merges objects, as ISBI 2012 scored membranes: adapted Rand error and variation of information.

By scikit-image, the maintained library that has both (Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142; Meilă 2007, doi
10.1016/j.jmva.2006.11.013). Both compare two partitions of the pixels into objects: 0 is perfect, the Rand error is at most 1,
the variation is in bits.

Objects of the truth are its instances where there are any, else the connected parts of a class (4 neighbours in a picture, 6 in a
volume). The background, which the membranes are in em-membranes, is not an object, and its px are left out. In the answer every px of
the background goes to the nearest object, so that a membrane is a line without a width: the challenge also thinned borders before it
scored. The challenge took the best of all thresholds; here it is the model's own.

An image whose truth has no object does not count. An answer without any is one object that merges all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
"""`(*spatial)` objects from 1, 0 where there is none."""


def object_scores(
    truth: NDArray[np.uint8], labels: NDArray[np.uint8], names: Collection[str],
    instances: NDArray[Any] | None = None, known: NDArray[np.bool_] | None = None,
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """`(1,)` scores by name; of `voi` also its two parts, what is split and what is merged.

    Args:
        truth: `(*spatial)` class indices.
        labels: the answer, likewise.
        names: of `rand` and `voi`.
        instances: `(*spatial)` ids of the true objects; None takes the connected parts of each class.
        known: `(*spatial)` bool, annotated px, others are left out; None for all.
    """
    from skimage.metrics import adapted_rand_error, variation_of_information

    objects = components(truth) if instances is None else instances.astype(np.int64)
    if known is not None:
        objects = np.where(known, objects, 0)
    counts, answer = bool(objects.any()), _without_gaps(components(labels))
    scores: dict[str, NDArray[np.float64]] = {}
    if "rand" in names:
        with np.errstate(invalid="ignore"):  # objects of one px have no pairs
            error = adapted_rand_error(objects, answer, ignore_labels=(0,))[0] if counts else np.nan
        scores["rand"] = np.array([error])
    if "voi" in names:
        parts = variation_of_information(objects, answer, ignore_labels=(0,)) if counts else np.full(2, np.nan)
        scores |= {"voi": parts.sum(keepdims=True), "voi split": parts[:1], "voi merge": parts[1:]}
    return scores


def components(labels: NDArray[np.uint8]) -> Ids:
    """Connected parts of each class of `(*spatial)` labels, by their sides, without the background."""
    from skimage.measure import label

    found: Ids = label(labels, background=0, connectivity=1).astype(np.int64)
    return found


def _without_gaps(objects: Ids) -> Ids:
    """Each px between objects given to the nearest one."""
    from skimage.segmentation import expand_labels

    if not objects.any():
        return objects
    grown: Ids = expand_labels(objects, sum(objects.shape))
    return grown
