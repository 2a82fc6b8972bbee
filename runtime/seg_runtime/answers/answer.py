"""What a task makes of logits: class indices, or values in the units of the training targets.

The one place of the runtime that tells tasks apart; whoever handles an answer asks here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..model.contract import Contract
from ..pipeline.postprocess import decide, margins, to_units
from ..pipeline.preprocess import Array, Float
from ..record import count_labels
from ..support.errors import SegError

if TYPE_CHECKING:
    from PIL import Image


class Answers(ABC):
    """The answers of a model.

    Attributes:
        kind: of the file that holds one: NAME_mask, NAME_values.
        decided: whether each pixel gets one of several classes, so that a small error may flip it.
    """

    kind: ClassVar[str]
    decided: ClassVar[bool]

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    @abstractmethod
    def empty(self, shape: tuple[int, ...]) -> Array:
        """The array of an answer for `shape` px, to be filled; its last axes are those px."""

    @abstractmethod
    def of(self, logits: Float) -> Array:
        """The answer `(…, *spatial)` to logits `(K, *spatial)`, pixel by pixel."""

    @abstractmethod
    def margins(self, logits: Float) -> Float:
        """See `postprocess.margins`; for what is decided only."""

    @abstractmethod
    def told(self, answer: Array) -> dict[str, Any]:
        """What a record says about an answer."""

    @abstractmethod
    def picture(self, image: Array, answer: Array) -> Image.Image:
        """An answer for the eye, with a legend."""


class Labels(Answers):
    """`(*spatial)` uint8 class indices."""

    kind = "mask"
    decided = True

    def __init__(self, contract: Contract) -> None:
        """Of a model of classes.

        Raises:
            SegError: the model is a regression.
        """
        if contract.task == "regression":
            fix = "take its values: .values of a result, NAME_values.tif of seg-run"
            raise SegError("labels or probabilities of a regression", "a model of classes", fix)
        super().__init__(contract)

    def empty(self, shape: tuple[int, ...]) -> Array:
        """All background."""
        return np.zeros(shape, np.uint8)

    def of(self, logits: Float) -> Array:
        """See `postprocess.decide`."""
        return decide(logits, self.contract)

    def margins(self, logits: Float) -> Float:
        """How far each pixel is from another label."""
        return margins(logits, self.contract)

    def told(self, answer: Array) -> dict[str, Any]:
        """Pixels of each class."""
        classes = self.contract.classes
        counts = count_labels(answer, len(classes))
        return {
            "classes": [
                {"index": i, "name": c.name, "pixels": int(counts[i]), "share": float(counts[i] / answer.size)}
                for i, c in enumerate(classes)
            ]
        }

    def picture(self, image: Array, answer: Array) -> Image.Image:
        """The image with its labels."""
        from .overlay import overlay

        return overlay(image, answer, self.contract.classes, self.contract.intensity)


class Values(Answers):
    """`(K, *spatial)` float32 in the units of the training targets."""

    kind = "values"
    decided = False

    def __init__(self, contract: Contract) -> None:
        """Of a regression.

        Raises:
            SegError: the model answers classes.
        """
        if contract.task != "regression":
            raise SegError("values of a model of classes", "a regression", "take its labels or probabilities")
        super().__init__(contract)

    def empty(self, shape: tuple[int, ...]) -> Array:
        """Zeros."""
        return np.zeros((len(self.contract.outputs), *shape), np.float32)

    def of(self, logits: Float) -> Array:
        """See `postprocess.to_units`."""
        return to_units(logits, self.contract.outputs)

    def margins(self, logits: Float) -> Float:
        """There are none: nothing is decided."""
        raise NotImplementedError

    def told(self, answer: Array) -> dict[str, Any]:
        """Least, largest and mean value of each output; None where one is not finite, which JSON cannot say."""
        return {
            "values": [
                {"index": i, "name": o.name, "unit": o.unit, **_extent(plane)}
                for i, (o, plane) in enumerate(zip(self.contract.outputs, answer, strict=True))
            ]
        }

    def picture(self, image: Array, answer: Array) -> Image.Image:
        """The values themselves in grey, with their scale."""
        from .valuemap import value_map

        return value_map(answer, self.contract.outputs)


def _extent(plane: Float) -> dict[str, float | None]:
    figures = {"min": plane.min(), "max": plane.max(), "mean": plane.mean(dtype=np.float64)}
    return {name: float(value) if np.isfinite(value) else None for name, value in figures.items()}


def answers_of(contract: Contract) -> Answers:
    """The answers of the contract's task."""
    return Values(contract) if contract.task == "regression" else Labels(contract)
