"""Test-time augmentation: the mean of what a model says about a window turned and mirrored in all eight ways.

Ronneberger et al. 2015, section 4: "average over 7 rotated versions of the input data". The square has eight symmetries, itself
and seven more, and those move pixels onto pixels: nothing is interpolated. Windows are turned, not images. Every pooling of a
network of this family halves an even size, so that its blocks lie alike from either end of a window, and a turned window
meets it in the phase that the plain one does: the mean has the network's own stride and margin, its windows meet without
seams, and what a pixel gets does not depend on the image's size. Training's evaluation and the runtime both call `averaged`.
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
"""In the provenance, as `orientation`: training never showed pictures turned in all eight ways."""
_LEAST, _MOST = np.finfo(np.float32).tiny, 1 - np.finfo(np.float32).epsneg  # probabilities whose logits are finite


def turned(values: Array, view: int) -> Array:
    """One of the eight views of `(…, H, W)`, as numpy's view of the same memory; view 0 is the plain one.

    >>> turned(np.array([[0, 1], [2, 3]]), 6).tolist()  # a quarter turn to the left
    [[1, 3], [0, 2]]
    """
    if view & 4:
        values = values.swapaxes(-1, -2)
    return values[..., :: -1 if view & 2 else 1, :: -1 if view & 1 else 1]


def turned_back(values: Array, view: int) -> Array:
    """The way back of `turned`."""
    values = values[..., :: -1 if view & 2 else 1, :: -1 if view & 1 else 1]
    return values.swapaxes(-1, -2) if view & 4 else values


def check_turnable(contract: Contract) -> None:
    """Refuse a model whose windows cannot be turned, or should not be.

    Raises:
        ModelError: a host-ready file, whose windows nobody outside of it sees; windows that are not square in their last two
            axes; a model of pictures that stay upright.
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
        needs="a file that takes windows, which can be turned",
        advice="export it without --host-ready, or leave --tta out",
    ),
    Rule(
        "--tta", lambda c: True, _square, "square windows", "export it with a square --input-size, or leave --tta out"
    ),
    Rule(
        "--tta",
        given=lambda c: True,
        fits=lambda c: c.provenance.get("orientation") != UPRIGHT,
        needs="a model trained on pictures turned in all ways, not on such that stay upright",
        advice="leave --tta out, or train with flips=square in --augment",
    ),
)
"""Of the models whose windows may be turned."""


def averaged(infer: Infer, contract: Contract) -> Infer:
    """A model that answers each window by the mean over its eight views, at eight times the cost.

    Probabilities are averaged, and given back as logits that have them, so that all that follows stays as it is; of a model
    without an activation the values themselves. Of a volume the views turn every slice in its plane.

    Args:
        infer: the model, see `Infer`.
        contract: of the model.

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
                said = turned_back(_said(logits, activation), view)
                before = sums[number]
                sums[number] = np.array(said) if before is None else np.add(before, said, out=before)
        return _as_logits(np.stack([total for total in sums if total is not None]) / np.float32(VIEWS), activation)

    return mean


def _said(logits: Float, activation: str) -> Float:
    return logits if activation == "none" else activate(logits, activation)


def _as_logits(means: Float, activation: str) -> Float:
    """Logits `(n, K, *spatial)` float32 whose activation gives these means."""
    if activation == "none":
        return means
    shares = np.clip(means, _LEAST, _MOST)
    logits: Float = np.log(shares) if activation == "softmax" else np.log(shares) - np.log1p(-shares)
    return logits
