"""The gate: what a precision costs in labels, on whole real images, by the corridor that every image takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from seg_runtime import Array, Contract, Float, Infer
from seg_runtime.answers import answer_of

from ...proof import Picture
from .cost import Cost

IMAGES = 8  # that judge, whole


@dataclass(frozen=True)
class Known:
    """An image that fp32 has answered."""

    image: Array
    truth: NDArray[np.uint8] | None
    labels: NDArray[np.uint8]


def answered(chosen: Sequence[Picture], contract: Contract, reference: Infer) -> Iterator[Known]:
    """Images, their true labels where known, and fp32's labels.

    Args:
        chosen: images.
        contract: of the model.
        reference: fp32, window -> logits.

    Raises:
        ImageError, DataError: an image or mask that does not fit the model.
    """
    for picture in chosen:
        image, truth = picture.with_truth(contract)
        yield Known(image, truth, answer_of(contract).segment(image, reference))


def judge(
    known: Iterable[Known], contract: Contract, form: Infer, watch: Callable[[int], None] = lambda done: None
) -> Cost:
    """Segment whole images by another precision, and count.

    Args:
        known: see `answered`.
        contract: of both.
        form: the other precision.
        watch: called with images done.
    """
    cost = Cost(len(contract.classes))

    def counted(window: Float) -> Float:
        logits = form(window)
        cost.not_finite += int((~np.isfinite(logits)).sum())
        return logits

    for done, case in enumerate(known, 1):
        cost.add(case.labels, answer_of(contract).segment(case.image, counted), case.truth)
        watch(done)
    return cost
