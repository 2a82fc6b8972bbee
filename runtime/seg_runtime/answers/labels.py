"""Segmentation: one class per pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..formats import PageResult
from ..model import Contract, LabelSpec
from ..pipeline import Array, Float, count_labels
from .answer import Answer
from .separate import components

if TYPE_CHECKING:
    from PIL import Image


class Labels(Answer):
    """`(*spatial)` uint8 class indices."""

    Spec = LabelSpec
    data = "labels"

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract)
        assert isinstance(contract.answer, LabelSpec)
        self.spec = contract.answer

    def empty(self, shape: tuple[int, ...]) -> Array:
        """Return labels that are all background."""
        return np.zeros(shape, np.uint8)

    def window(self, logits: Float) -> NDArray[np.uint8]:
        """Return the class index of each pixel.

        `argmax` takes the class with the largest logit, the first one if several are equal. `threshold` takes, among
        the classes after the background, the most probable one if its probability reaches the threshold, else the
        background (0).
        """
        if self.spec.decision == "threshold":
            best = (1 + logits[1:].argmax(axis=0)).astype(np.uint8)
            return np.where(logits[1:].max(axis=0) >= self.threshold_logit, best, 0).astype(np.uint8)
        if len(logits) == 2:
            second: NDArray[np.bool_] = logits[1] > logits[0]  # same result as argmax, several times faster
            return second.view(np.uint8)
        labels: NDArray[np.uint8] = logits.argmax(axis=0).astype(np.uint8)
        return labels

    def margins(self, logits: Float) -> Float:
        """Return the distance of each pixel to another label: to the second class, or to the threshold if nearer."""
        if self.spec.decision == "argmax":
            top = np.partition(logits, len(logits) - 2, axis=0)[-2:]
            return np.asarray(top[1] - top[0], np.float32)
        first, limit = logits[1:].max(axis=0), self.threshold_logit
        gap = np.abs(first - limit)
        if len(logits) > 2:
            top = np.partition(logits[1:], len(logits) - 3, axis=0)[-2:]
            gap = np.where(first >= limit, np.minimum(gap, top[1] - top[0]), gap)
        return np.asarray(gap, np.float32)

    @property
    def threshold_logit(self) -> np.float64:
        """Threshold of the decision `threshold` as a logit; may be infinite."""
        with np.errstate(divide="ignore"):
            return np.float64(np.log(self.spec.threshold) - np.log1p(-np.float64(self.spec.threshold)))

    def part(self, answer: Array, data: str) -> Array | None:
        """Return the labels, or their connected components as `objects`."""
        return components(answer) if data == "objects" else super().part(answer, data)

    def confidence(self, result: PageResult) -> Float | None:
        """Return the probability of the class of each pixel."""
        if not result.has_probabilities:
            return None
        found: Float = np.take_along_axis(result.probabilities, result.labels[None], axis=0)[0]
        return found

    def record(self, answer: Array) -> dict[str, Any]:
        """Return the number of pixels of each class."""
        classes = self.spec.classes
        counts = count_labels(answer, len(classes))
        return {
            "classes": [
                {"index": i, "name": c.name, "pixels": int(counts[i]), "share": float(counts[i] / answer.size)}
                for i, c in enumerate(classes)
            ]
        }

    def draw(self, image: Array, answer: Array) -> Image.Image:
        """Draw the labels over the image."""
        from .overlay import overlay

        return overlay(image, answer, self.spec.classes, self.contract.input.intensity)

    def draw_objects(self, image: Array, answer: Array, ids: Array) -> Image.Image:
        """Draw the labels of objects over the image, with an outline around each object, and the number of objects."""
        from .overlay import overlay

        labels = np.where(ids > 0, answer, 0).astype(np.uint8)
        _, first = np.unique(
            ids, return_index=True
        )  # a pixel of each object, and one of the background if there is any
        counts = np.bincount(labels.ravel()[first], minlength=len(self.spec.classes))
        found = dict(enumerate(counts.tolist()[1:], 1))
        return overlay(image, labels, self.spec.classes, self.contract.input.intensity, ids, found)
