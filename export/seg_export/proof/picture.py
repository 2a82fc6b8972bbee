"""Real images that an export looks at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from seg_runtime.model.contract import Contract
from seg_runtime.pipeline.preprocess import Array, Float

from .windows import evenly, some_windows

WINDOWS_PER_IMAGE = 2


class Picture(ABC):
    """An image and, where it is of a data set, its truth; nothing is read before it is needed.

    Attributes:
        name: of the case or the file, for errors.
    """

    name: str

    @abstractmethod
    def whole(self, contract: Contract) -> Array:
        """`(*spatial, C)` as the model takes it.

        Raises:
            ImageError, DataError: it cannot be read, or does not fit the model.
        """

    def with_truth(self, contract: Contract) -> tuple[Array, NDArray[np.uint8] | None]:
        """`whole`, and the true labels `(*spatial)` or None."""
        return self.whole(contract), None

    def part(self, contract: Contract) -> Array:
        """The same as `whole`; of a volume, for a model of slices, the middle slice, where a part of each image is enough."""
        image = self.whole(contract)
        return image[len(image) // 2] if image.ndim - 1 > contract.geometry.axes else image


def some(found: Sequence[Picture], count: int) -> list[Picture]:
    """At most `count` of them, evenly spaced."""
    return [found[i] for i in evenly(len(found), count)]


def image_windows(found: Sequence[Picture], contract: Contract, per_image: int = WINDOWS_PER_IMAGE) -> Iterator[Float]:
    """Windows of real images, cut and normalised by the runtime: the first and evenly spaced further ones of each."""
    for picture in found:
        yield from some_windows(picture.part(contract), contract, per_image)
