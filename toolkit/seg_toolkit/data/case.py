"""A case: one image with its ground truth, however a data set keeps them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.support import DataError

from .classes import ClassValues


@dataclass(frozen=True)
class Example:
    """A case in memory, at the image's own size. `spatial` is `(H, W)` or `(D, H, W)`.

    Attributes:
        image: `(*spatial, C)` as the runtime reads it.
        labels: `(*spatial)` uint8 class indices.
        instances: `(*spatial)` int32, object ids from 1; None where the data set has none.
        known: `(*spatial)` bool, annotated pixels; None for all. Other pixels have weight 0.
        plain: the labels before a ring was drawn into them, see `ring.py`; None where there is no ring.
        targets: `(*spatial, K)` float32, the values that a regression learns, in their own units; None where the truth is
            labels. With targets the labels are 0.
    """

    image: NDArray[Any]
    labels: NDArray[np.uint8]
    instances: NDArray[np.int32] | None = None
    known: NDArray[np.bool_] | None = None
    plain: NDArray[np.uint8] | None = None
    targets: NDArray[np.float32] | None = None

    @classmethod
    def of_values(cls, image: NDArray[Any], targets: NDArray[Any]) -> Example:
        """An example of a regression: targets `(*spatial, K)` of any dtype, their values kept."""
        none = np.broadcast_to(np.uint8(0), targets.shape[:-1])
        return cls(image, none, targets=targets.astype(np.float32, copy=False))

    def checked(self, name: str) -> Example:
        """The example itself.

        Raises:
            DataError: image and ground truth differ in size.
        """
        shape = self.image.shape[:-1]
        truth = "mask" if self.targets is None else "target"
        for what, got in ((truth, self.labels), ("instances", self.instances), ("annotation", self.known)):
            if got is not None and got.shape != shape:
                came = f"{name}: image of {sized(shape)}, {what} of {sized(got.shape)} px"
                raise DataError(came, "one size", "export them again")
        return self


class Case(ABC):
    """One image with its ground truth. Files are read only when they are asked for. Cases are sent to worker processes.

    Attributes:
        name: unique in its data set.
    """

    name: str

    @abstractmethod
    def image(self) -> NDArray[Any]:
        """`(*spatial, C)` as the runtime reads it, without the ground truth."""

    @abstractmethod
    def values(self) -> dict[int, str]:
        """All values of the mask, each with a file that holds it; empty where the truth is not a mask."""

    @abstractmethod
    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and ground truth.

        Raises:
            DataError: they differ in size, or the mask holds a value that no class lists.
        """


def sized(shape: Sequence[int]) -> str:
    """A size as people write it: width first, 512×300."""
    return "×".join(str(n) for n in reversed(shape))
