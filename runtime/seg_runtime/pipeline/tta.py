"""Test-time augmentation: average the predictions for all eight rotations and reflections of a window.

Ronneberger et al. 2015, section 4: "average over 7 rotated versions of the input data". A square has eight symmetries,
the identity and seven others, which map pixels to pixels, so nothing is interpolated. Windows are transformed, not
images. Every pooling layer of these networks halves an even size, so the pooling blocks are symmetric within a window,
and a transformed window has the same pooling phase as the original. The average therefore has the stride and the margin
of the network, windows meet without seams, and the result of a pixel does not depend on the size of the image. The
evaluation in training and the runtime both call `averaged`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..model import Contract
from ..support import ModelError, Rule, check
from .intensity import Array, Float
from .postprocess import activate
from .windows import Infer

VIEWS = 8
UPRIGHT = "upright"
"""Value of `orientation` in the provenance if training did not use all eight rotations and reflections."""
_LEAST, _MOST = np.finfo(np.float32).tiny, 1 - np.finfo(np.float32).epsneg  # probabilities whose logits are finite


def turned(values: Array, view: int) -> Array:
    """Return one of the eight rotations and reflections of `(…, H, W)`, as a numpy view; view 0 is the original.

    >>> turned(np.array([[0, 1], [2, 3]]), 6).tolist()  # a quarter turn to the left
    [[1, 3], [0, 2]]
    """
    if view & 4:
        values = values.swapaxes(-1, -2)
    return values[..., :: -1 if view & 2 else 1, :: -1 if view & 1 else 1]


def turned_back(values: Array, view: int) -> Array:
    """Apply the inverse of `turned`."""
    values = values[..., :: -1 if view & 2 else 1, :: -1 if view & 1 else 1]
    return values.swapaxes(-1, -2) if view & 4 else values


def check_turnable(contract: Contract) -> None:
    """Check that a model supports test-time augmentation.

    Raises:
        ModelError: the file is host-ready, so that its windows are not accessible; the last two axes of its windows are
            not square; or it was trained on upright images only.
    """
    check(RULES, contract, ModelError)


def _square(contract: Contract) -> bool:
    *_, height, width = (0, *contract.geometry.input_shape)
    return contract.geometry.axes >= 2 and height == width


RULES: Sequence[Rule[Contract]] = (
    Rule(
        "--tta",
        given=lambda c: True,
        fits=lambda c: not c.file.whole_images,
        requires="a model exported without --host-ready, whose windows can be rotated and reflected",
        advice="export the model again without --host-ready, or leave out --tta",
    ),
    Rule(
        "--tta",
        given=lambda c: True,
        fits=_square,
        requires="a model with square windows",
        advice="export the model again with a square --input-size, or leave out --tta",
    ),
    Rule(
        "--tta",
        given=lambda c: True,
        fits=lambda c: c.provenance.get("orientation") != UPRIGHT,
        requires="a model trained with all eight rotations and reflections, not on upright images only",
        advice="leave out --tta, or train with flips=square in --augment",
    ),
)
"""Requirements of `--tta`."""


def averaged(infer: Infer, contract: Contract) -> Infer:
    """Return a model that averages over the eight views of each window, at eight times the cost.

    It averages probabilities and returns the logits of the mean, so that later steps do not change. Without an
    activation, it averages the values. In a volume, the views transform each slice in its plane.

    Args:
        infer: the model, see `Infer`.
        contract: contract of the model.

    Raises:
        ModelError: see `check_turnable`.
    """
    check_turnable(contract)
    activation = contract.answer.activation

    def mean(windows: Float) -> Float:
        jobs = [(number, view) for view in range(VIEWS) for number in range(len(windows))]
        sums: list[Float | None] = [None] * len(windows)
        for first in range(0, len(jobs), contract.file.batch):
            some = jobs[first : first + contract.file.batch]
            views = np.stack([turned(windows[number], view) for number, view in some])
            for (number, view), logits in zip(some, infer(np.ascontiguousarray(views)), strict=True):
                values = turned_back(_activated(logits, activation), view)
                before = sums[number]
                sums[number] = np.array(values) if before is None else np.add(before, values, out=before)
        return _as_logits(np.stack([total for total in sums if total is not None]) / np.float32(VIEWS), activation)

    return mean


def _activated(logits: Float, activation: str) -> Float:
    return logits if activation == "none" else activate(logits, activation)


def _as_logits(means: Float, activation: str) -> Float:
    """Return the logits `(n, K, *spatial)` float32 whose activation equals these means."""
    if activation == "none":
        return means
    shares = np.clip(means, _LEAST, _MOST)
    logits: Float = np.log(shares) if activation == "softmax" else np.log(shares) - np.log1p(-shares)
    return logits
