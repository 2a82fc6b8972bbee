"""The result for one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .answers import answer_of, renumbered
from .formats import Place
from .model import Contract
from .outputs import measurements_of
from .pipeline import Array, Float, fitted
from .support import SegError


@dataclass
class Segmentation:
    """The result for one image.

    Attributes:
        answer: the result in the form of the model's kind of answer, see `answers`.
        record: machine-readable facts about the result and how it was made.
        image: the decoded image, `(*spatial, C)`.
        contract: contract of the model.
        place: position of the pixels in space; `place.stored` converts a result to the axis order of the file.
        smallest_object: objects of fewer px are left out of `objects`; set it before the first access.
        has_probabilities: whether the model file gives probabilities.
    """

    answer: Array
    record: dict[str, Any]
    image: Array
    contract: Contract
    place: Place
    _again: Callable[[Array], Float] = field(repr=False)
    """Computes the probabilities of a fitted image."""
    _probabilities: Float | None = field(default=None, repr=False)
    smallest_object: int = 0
    has_probabilities: bool = True

    @cached_property
    def labels(self) -> NDArray[np.uint8]:
        """Class indices at the size of the image: `(H, W)`, or `(D, H, W)` for a volume.

        Raises:
            SegError: the model does not predict classes.
        """
        return self._of("labels")

    @cached_property
    def objects(self) -> NDArray[np.int32]:
        """Ids of objects `(*spatial)` from 1, 0 for none; without a model of objects, the connected components of classes.

        Raises:
            SegError: the model predicts values, or scikit-image is not installed.
        """
        found = self._of("objects")
        return renumbered(found, self.smallest_object) if self.smallest_object else found

    @cached_property
    def measurements(self) -> dict[str, NDArray[Any]]:
        """Measures of the objects: the columns of NAME_objects.csv -> an array `(n,)`; `pandas.DataFrame` takes them.

        Runs the network again for probabilities that were not kept.

        Raises:
            SegError: the model predicts values, or scikit-image is not installed.
        """
        return measurements_of(self)

    @property
    def values(self) -> Float:
        """Predicted values in the units of the training targets: `(K, H, W)`, or `(K, D, H, W)` for a volume.

        Raises:
            SegError: the model does not predict values.
        """
        return self._of("values")

    def _of(self, data: str) -> Array:
        answer = answer_of(self.contract)
        found = answer.part(self.answer, data)
        if found is None:
            raise SegError(f"this model predicts {answer.data}, not {data}", "", f"use .{answer.data}")
        return found

    @property
    def probabilities(self) -> Float:
        """Probabilities of the classes, `(K, *spatial)` float32, 0..1.

        Runs the network again unless the call that made this result kept them.

        Raises:
            SegError: the model has no probabilities.
        """
        if self._probabilities is None:
            self._probabilities = self._again(fitted(self.image, self.contract, any_kind=True))
        return self._probabilities

    def free(self, *, image: bool = True, probabilities: bool = True) -> None:
        """Free the pixels, and the probabilities, of a page among many; the results and measurements stay."""
        if image:
            self.image = np.empty((0, 0, self.image.shape[-1]), self.image.dtype)
        if probabilities:
            self._probabilities = None
