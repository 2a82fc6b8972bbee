"""What every objective offers: all that a training does differently for one kind of answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from seg_runtime.answers import ANSWERS, answer_of
from seg_runtime.model import AnswerSpec, Contract, Intensity, Voxels
from seg_runtime.pipeline import Infer, fitted
from seg_runtime.support import DataError
from torch import Tensor

from ...data import Augmentation, Case, ClassValues, DataSet, Example, Report
from ...evaluation import Measure, measure, with_measures
from ...options import DataOptions, Request, Settings, TrainOptions
from ...planning import DataStatistics


@dataclass(frozen=True, kw_only=True)
class Choices:
    """All of a training that follows from its data, unless an option says it.

    Attributes:
        channels: of the image.
        intensity: how grey values become floats.
        geometry: how an image becomes windows.
        answer: what the network's maps mean.
        augment: see `Augmentation.parse`.
        class_weights: in the loss.
        border_weight: w0 of the weight map.
        balance: share of windows placed on a class drawn evenly.
        scarce: classes that most images lack, with the places of the cases that hold them.
        loss: by name, where there are several.
        metrics: what `--evaluate` measures besides.
    """

    channels: int
    intensity: Intensity
    geometry: str
    answer: AnswerSpec
    augment: str
    class_weights: tuple[float, ...] = (1.0,)
    border_weight: float = 0.0
    balance: float = 0.0
    scarce: Mapping[int, Sequence[int]] = field(default_factory=dict)
    loss: str = ""
    metrics: str = ""


@dataclass(frozen=True)
class ScoredCase:
    """A case with the answer of a model, and its scores.

    Attributes:
        name: of the case.
        image: `(*spatial, C)`.
        truth: in the form of the answer: labels `(*spatial)` or values `(K, *spatial)`.
        answer: of the runtime.
        figures: all that `Objective.summary` needs of it.
        score: of this case alone, of the kind that the objective is named by.
        example: as it was read.
    """

    name: str
    image: NDArray[Any]
    truth: NDArray[Any]
    answer: NDArray[Any]
    figures: Any
    score: float
    example: Example


class Objective(ABC):
    """What a training aims at. Another package adds one by an entry point of the group `seg_edge.objectives`.

    Attributes:
        Spec: what the contract holds of the answer; the registry's name is its `kind`.
        truth: kind of truth that it learns from, see `DataSet.truth`.
        options: fields of `TrainOptions` that it takes, of those that only some objectives take.
        importable: whether weights alone say what the network's maps mean.
        placed_by_class: whether windows can be placed on a class: the truth is class indices `(*spatial)`.
        on_pixels: windows lie on the image's pixels where nothing but flips moves them, so that nothing is interpolated.
        key: of the score that chooses the best checkpoint, higher being better, in logs.
        title: its name for people.
    """

    Spec: ClassVar[type[AnswerSpec]]
    truth: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    importable: ClassVar[bool] = True
    placed_by_class: ClassVar[bool] = False
    on_pixels: ClassVar[bool] = False
    key: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self, contract: Contract, classes: Sequence[ClassValues] = (), settings: Settings | None = None
    ) -> None:
        """Of a contract, with the classes by which cases are read and the settings of the training."""
        self.contract, self.classes, self.settings = contract, tuple(classes), settings or Settings()

    @classmethod
    def request(
        cls, options: DataOptions, data: DataSet | None = None, network: Sequence[str] | None = None
    ) -> Request:
        """What rules must know: of the objective, of the data set, and of the options that a network takes."""
        return Request(
            options=options, network=network, objective=cls.options, geometries=cls.Spec.geometries,
            importable=cls.importable, fits_data=data is None or data.truth == cls.truth,
        )  # fmt: skip

    @classmethod
    def check_options(cls, options: TrainOptions, output_px: int) -> None:
        """Refuse values of options before any case is read.

        Args:
            options: of the training.
            output_px: smallest side of an output window.

        Raises:
            SegError: says which; or nothing is installed that can run such a model.
        """
        ANSWERS.get(cls.Spec.kind)
        name, comma, settings = options.augment.partition(",")
        Augmentation.parse(f"{'none' if name.strip() == 'auto' else name}{comma}{settings}")

    @classmethod
    def choose_classes(cls, data: DataSet, options: TrainOptions) -> tuple[ClassValues, ...]:
        """The classes by which cases are read; empty where the truth is not a mask."""
        return ()

    @classmethod
    @abstractmethod
    def choose(
        cls, statistics: DataStatistics, training: DataStatistics, options: TrainOptions, say: Report
    ) -> Choices:
        """Every choice that the data decides unless an option does, each said with its reason.

        Args:
            statistics: of all cases.
            training: of those that are trained on.
            options: of the training.
            say: called with every choice, a line each.
        """

    @abstractmethod
    def target(self, example: Example) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """What the network is to learn of a case.

        Args:
            example: its labels, instances and annotated pixels framed as the contract says. Its targets are as the data set
                has them, since values go with windows on the image's own pixels.

        Returns:
            `(*spatial)` or `(*spatial, K)`, and the weight of each pixel `(*spatial)`.
        """

    @abstractmethod
    def target_window(self, target: NDArray[Any], where: NDArray[np.float64]) -> NDArray[Any]:
        """The part of a target at the coordinates `(A, *output_shape)`, as the loss takes it, without the axis N."""

    @abstractmethod
    def loss(self, answer: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """What training lowers, a scalar.

        Args:
            answer: of the network, `(N, K, *spatial)`.
            truth: of `target_window`.
            weights: `(N, *spatial)` float.
        """

    @abstractmethod
    def compare(self, name: str, example: Example, answer: NDArray[Any]) -> ScoredCase:
        """A case scored by an answer, which has the runtime's form."""

    @abstractmethod
    def summary(self, figures: Sequence[Any]) -> dict[str, Any]:
        """Scores averaged over images, ready for JSON, from the `figures` of each."""

    @abstractmethod
    def table(self, result: dict[str, Any]) -> str:
        """A summary for a person."""

    @abstractmethod
    def preview(self, cases: Sequence[ScoredCase]) -> Image.Image:
        """A row or more per case: the image, the truth, the answer."""

    def score(
        self, cases: Iterable[Case], infer: Infer, measures: Sequence[Measure] = (), keep: int = 0
    ) -> tuple[dict[str, Any], list[ScoredCase]]:
        """The summary of all cases, each answered by the runtime's own corridor, ready for JSON.

        Args:
            cases: to score.
            infer: the model.
            measures: besides, of labels only.
            keep: so many of the cases are returned, the first ones.
        """
        answer = answer_of(self.contract)
        figures: list[Any] = []
        rows: list[dict[str, NDArray[np.float64]]] = []
        kept: list[ScoredCase] = []
        for case in cases:
            example = case.read(self.classes)
            found = answer.segment(fitted(example.image, self.contract, case.name), infer)
            scored = self.compare(case.name, example, found)
            figures.append(scored.figures)
            if len(kept) < keep:
                kept.append(scored)
            if measures:
                rows.append(measure(measures, example, found, self.classes, self.settings.empty_dice, case.name))
        result = self.summary(figures)
        return (with_measures(result, rows) if rows else result), kept

    def best(self, result: dict[str, Any]) -> float:
        """The score of a summary that chooses the best checkpoint."""
        return float(result[f"mean_{self.key}"])

    def check_data(self, data: DataSet) -> None:
        """Refuse a data set that cannot score the model.

        Raises:
            DataError: a structure on another grid than the model's, or a truth of another kind.
        """
        if data.voxels != self.contract.input.voxels:
            wanted = f"{_input(self.contract.input.voxels)} as the model was trained"
            raise DataError(f"DATA is {_input(data.voxels)}", wanted, "choose another --reader")
        if data.truth != self.truth:
            wanted = f"{self.truth} as the model was trained"
            raise DataError(f"DATA has {data.truth} as its truth", wanted, "choose another --reader")


def _input(voxels: Voxels | None) -> str:
    return f"a structure on voxels of {voxels.side_angstrom:g} Å" if voxels else "an image or a volume"
