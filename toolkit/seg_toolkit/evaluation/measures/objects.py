"""Whether an answer splits and merges objects rightly, as ISBI 2012 judged membranes: adapted Rand error, variation of information.

By scikit-image, the maintained library that has both (Arganda-Carreras et al. 2015, doi 10.3389/fnana.2015.00142; Meilă 2007, doi
10.1016/j.jmva.2006.11.013). Both compare two partitions of the pixels into objects: 0 is perfect, the Rand error is at most 1,
the variation is in bits.

Objects of the truth are its instances where somebody told them apart, else what hangs together of one class by its sides (4
neighbours in a picture, 6 in a volume); the background, the membranes of em-membranes, is none of them, and its px are left out. Of
the answer every px of the background goes to the nearest object, so that a membrane is a line without a width: the challenge, too, thinned
borders before it scored. It took the best of all thresholds; here it is the one that the model decides by.

An image whose truth has no object does not count. An answer without any is one object that merges all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...data.case import Example
from ..metrics import Score

if TYPE_CHECKING:
    from . import Wish

Ids = NDArray[np.int64]
"""`(*spatial)` objects from 1, 0 where there is none."""


def object_scores(example: Example, labels: NDArray[np.uint8], wishes: Sequence[Wish]) -> dict[str, Score]:
    """`(1,)` scores for each wish's text; of `voi` also its two parts, what is split and what is merged.

    Args:
        example: the ground truth; px that nobody annotated are left out.
        labels: `(*spatial)` class indices, the answer.
        wishes: `rand` and `voi`.
    """
    from skimage.metrics import adapted_rand_error, variation_of_information

    truth = components(example.labels) if example.instances is None else example.instances.astype(np.int64)
    if example.known is not None:
        truth = np.where(example.known, truth, 0)
    counts, answer = bool(truth.any()), without_gaps(components(labels))
    scores: dict[str, Score] = {}
    for wish in wishes:
        if wish.name == "rand":
            with np.errstate(invalid="ignore"):  # objects of one px have no pairs
                error = adapted_rand_error(truth, answer, ignore_labels=(0,))[0] if counts else np.nan
            scores["rand"] = np.array([error])
        else:
            parts = variation_of_information(truth, answer, ignore_labels=(0,)) if counts else np.full(2, np.nan)
            scores |= {"voi": parts.sum(keepdims=True), "voi split": parts[:1], "voi merge": parts[1:]}
    return scores


def components(labels: NDArray[np.uint8]) -> Ids:
    """What hangs together of one class of `(*spatial)` labels by its sides, the background left out."""
    from skimage.measure import label

    found: Ids = label(labels, background=0, connectivity=1).astype(np.int64)
    return found


def without_gaps(objects: Ids) -> Ids:
    """Every px between objects given to the nearest one."""
    from skimage.segmentation import expand_labels

    if not objects.any():
        return objects
    grown: Ids = expand_labels(objects, sum(objects.shape))
    return grown
