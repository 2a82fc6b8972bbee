"""A case: one image with its ground truth, however a data set keeps them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from seg_runtime.model.input import ChannelFile, Voxels
from seg_runtime.pipeline import Array, Float
from seg_runtime.support.errors import DataError

if TYPE_CHECKING:
    from .folder import ClassValues


@dataclass(frozen=True)
class Example:
    """A case in memory, at the image's own size. `spatial` is `(H, W)` or `(D, H, W)`.

    Attributes:
        image: `(*spatial, C)` as the runtime reads it.
        labels: `(*spatial)` uint8 class indices.
        instances: `(*spatial)` int32, ids from 1; None where nobody told objects apart.
        known: `(*spatial)` bool, where somebody annotated; None for everywhere. The rest has weight 0.
        plain: the labels before a ring was drawn into them, see `ring.py`; None where there is none.
        targets: `(*spatial, K)` float32, of a regression, in their own units; None where the truth is labels. With targets the
            labels are 0.
    """

    image: Array
    labels: NDArray[np.uint8]
    instances: NDArray[np.int32] | None = None
    known: NDArray[np.bool_] | None = None
    plain: NDArray[np.uint8] | None = None
    targets: Float | None = None

    @classmethod
    def of_values(cls, image: Array, targets: Array) -> Example:
        """One of a regression: targets `(*spatial, K)` of any dtype, their values kept."""
        none = np.broadcast_to(np.uint8(0), targets.shape[:-1])
        return cls(image, none, targets=targets.astype(np.float32, copy=False))

    def checked(self, name: str) -> Example:
        """Itself.

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
    """One image with its ground truth; nothing is read before it is asked for. Cases travel to worker processes.

    Attributes:
        name: unique in its data set.
    """

    name: str

    @property
    def instances_only(self) -> bool:
        """Whether the ground truth is objects told apart, without a mask."""
        return False

    @property
    def channel_files(self) -> tuple[ChannelFile, ...]:
        """As in the contract: its image's files, one a channel; empty where it is one file."""
        return ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the values that its truth holds, the K of `Example.targets`; empty where the truth is labels."""
        return ()

    @property
    def voxels(self) -> Voxels | None:
        """As in the contract: the grid that its structure becomes; None where it is an image or a volume."""
        return None

    @abstractmethod
    def image(self) -> Array:
        """`(*spatial, C)` as the runtime reads it, without the ground truth."""

    @abstractmethod
    def values(self) -> dict[int, str]:
        """All values of the mask, each with a file that holds it."""

    @abstractmethod
    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and ground truth.

        Raises:
            DataError: they differ in size, or a mask value that no class lists.
        """


def sized(shape: Sequence[int]) -> str:
    """A size as people write it: width first, 512×300."""
    return "×".join(str(n) for n in reversed(shape))
