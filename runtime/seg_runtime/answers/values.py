"""Regression: values per pixel in the units of the training targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..model import Contract, ValueSpec
from ..pipeline import Array, Float
from .answer import Answer

if TYPE_CHECKING:
    from PIL import Image


class Values(Answer):
    """`(K, *spatial)` float32 in the units of the training targets."""

    Spec = ValueSpec
    data = "values"

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract)
        assert isinstance(contract.answer, ValueSpec)
        self.spec = contract.answer

    def empty(self, shape: tuple[int, ...]) -> Array:
        """Return zeros."""
        return np.zeros((len(self.spec.outputs), *shape), np.float32)

    def window(self, logits: Float) -> Float:
        """Return `offset + scale * logits` in float32."""
        offset, scale = self._factors((-1, *(1,) * (logits.ndim - 1)))
        return logits * scale + offset

    def to_network(self, targets: Float) -> Float:
        """Apply the inverse of `window` to targets `(*spatial, K)`: what the network should output for them."""
        offset, scale = self._factors((-1,))
        return (targets - offset) / scale

    def _factors(self, shape: tuple[int, ...]) -> tuple[Float, Float]:
        return (
            np.array([o.offset for o in self.spec.outputs], np.float32).reshape(shape),
            np.array([o.scale for o in self.spec.outputs], np.float32).reshape(shape),
        )

    def record(self, answer: Array) -> dict[str, Any]:
        """Return the minimum, maximum and mean of each output; None if it is not finite, since JSON has no NaN."""
        return {
            "values": [
                {"index": i, "name": o.name, "unit": o.unit, **_extent(plane)}
                for i, (o, plane) in enumerate(zip(self.spec.outputs, answer, strict=True))
            ]
        }

    def draw(self, image: Array, answer: Array) -> Image.Image:
        """Draw the values in grey, with their scale."""
        from .valuemap import value_map

        return value_map(answer, self.spec.outputs)


def _extent(plane: Float) -> dict[str, float | None]:
    figures = {"min": plane.min(), "max": plane.max(), "mean": plane.mean(dtype=np.float64)}
    return {name: float(value) if np.isfinite(value) else None for name, value in figures.items()}
