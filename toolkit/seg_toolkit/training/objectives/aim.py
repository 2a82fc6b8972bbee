"""What every aim of a training offers: a loss to lower, scores of its answers, and pictures of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image
from seg_runtime.answers import answer_of
from seg_runtime.model.contract import Contract
from seg_runtime.model.input import Voxels
from seg_runtime.pipeline import Array
from seg_runtime.pipeline.fit import fitted
from seg_runtime.pipeline.windows import Infer
from seg_runtime.support.errors import DataError
from torch import Tensor

from ...data.case import Case, Example
from ...data.folder import ClassValues


@dataclass(frozen=True)
class Judged:
    """One case with an answer.

    Attributes:
        name: of the case.
        image: `(*spatial, C)`.
        truth: as the runtime answers, labels `(*spatial)` or values `(K, *spatial)`.
        answer: of the same kind.
        figures: all that the aim's summary needs of it.
        score: of this case alone, of the kind that the aim names.
        example: as it was read.
    """

    name: str
    image: Array
    truth: Array
    answer: Array
    figures: Any
    score: float
    example: Example


class Aim(ABC):
    """What a training is after.

    Attributes:
        key: of the score that chooses the best checkpoint, higher being better, in logs.
        title: its name for people.
    """

    key: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, contract: Contract, classes: Sequence[ClassValues] = ()) -> None:
        """Set it up; see `aim_of`."""
        self.contract, self.classes = contract, tuple(classes)

    @abstractmethod
    def loss(self, answer: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """What training lowers, a scalar.

        Args:
            answer: of the network, `(N, K, *spatial)`.
            truth: as the stream of windows gives it.
            weights: `(N, *spatial)` float.
        """

    @abstractmethod
    def compare(self, name: str, example: Example, answer: Array) -> Judged:
        """A case with the answer that somebody gave, as the runtime answers."""

    @abstractmethod
    def summary(self, figures: Sequence[Any]) -> dict[str, Any]:
        """Scores averaged over images, ready for JSON, from the `figures` of each."""

    @abstractmethod
    def table(self, result: dict[str, Any]) -> str:
        """A summary for a person."""

    @abstractmethod
    def preview(self, cases: Sequence[Judged]) -> Image.Image:
        """A row or more per case: the image, the truth, the answer."""

    def best(self, result: dict[str, Any]) -> float:
        """Of a summary the score that decides."""
        return float(result[f"mean_{self.key}"])

    def judged(
        self, cases: Sequence[Case], infer: Infer,
        progress: Callable[[Iterable[Case]], Iterable[Case]] = lambda cases: cases,
    ) -> Iterator[Judged]:  # fmt: skip
        """Let a model answer each case by the runtime's own corridor, one at a time.

        Raises:
            DataError: a structure on another grid than the model's, whose scores would say nothing, or a truth of another kind.
        """
        for case in progress(cases):
            if case.voxels != self.contract.input.voxels:
                came = f"{case.name} is {_on(case.voxels)}"
                wanted = f"{_on(self.contract.input.voxels)} as the model was trained"
                raise DataError(came, wanted, "choose another --reader")
            wanted_outputs = len(getattr(self.contract.answer, "outputs", ()))
            if len(case.outputs) != wanted_outputs:
                came, wanted = _answers(len(case.outputs)), _answers(wanted_outputs)
                raise DataError(
                    f"{case.name} has {came} as its truth", f"{wanted} as the model answers", "choose another --reader"
                )
            example = case.read(self.classes)
            image = fitted(example.image, self.contract, case.name)
            yield self.compare(case.name, example, answer_of(self.contract).segment(image, infer))


def _answers(outputs: int) -> str:
    return f"{outputs} value{'s'[: outputs > 1]} a pixel" if outputs else "labels"


def _on(voxels: Voxels | None) -> str:
    return f"a structure on voxels of {voxels.side_angstrom:g} Å" if voxels else "an image or a volume"
