"""The gate: the effect of a precision on the labels of whole real images, computed by the pipeline of the runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from seg_runtime import Array, Contract, Float, Infer
from seg_runtime.answers import answer_of

from ...proof import Picture
from .cost import Cost

IMAGES = 8  # number of whole images that decide


@dataclass(frozen=True)
class Known:
    """An image with the labels of fp32, and with its objects if the model predicts objects."""

    image: Array
    truth: NDArray[np.uint8] | None
    labels: NDArray[np.uint8]
    objects: NDArray[np.int32] | None = None


def with_reference(chosen: Sequence[Picture], contract: Contract, reference: Infer) -> Iterator[Known]:
    """Yield images with their true labels, if known, and the labels of fp32.

    Args:
        chosen: images.
        contract: contract of the model.
        reference: fp32, window -> logits.

    Raises:
        ImageError, DataError: if an image or mask does not fit the model.
    """
    for picture in chosen:
        image, truth = picture.with_truth(contract)
        yield Known(image, truth, *_parts(image, contract, reference))


def judge(
    known: Iterable[Known], contract: Contract, form: Infer, watch: Callable[[int], None] = lambda done: None
) -> Cost:
    """Segment whole images in another precision, and compare.

    Args:
        known: see `with_reference`.
        contract: contract of both.
        form: the other precision, window -> logits.
        watch: called with the number of images done.
    """
    cost = Cost(len(contract.classes))

    def counted(window: Float) -> Float:
        logits = form(window)
        cost.not_finite += int((~np.isfinite(logits)).sum())
        return logits

    for done, case in enumerate(known, 1):
        labels, objects = _parts(case.image, contract, counted)
        cost.add(case.labels, labels, case.truth)
        if case.objects is not None and objects is not None:
            cost.add_objects(case.objects, objects)
        watch(done)
    return cost


def _parts(image: Array, contract: Contract, infer: Infer) -> tuple[NDArray[np.uint8], NDArray[np.int32] | None]:
    """Return the labels of an image, and its objects if the model predicts objects."""
    answer = answer_of(contract)
    found = answer.segment(image, infer)
    labels = answer.part(found, "labels")
    assert labels is not None  # precisions other than fp32 are for models with classes
    return labels, answer.part(found, "objects") if contract.answer.separated else None
