"""Base class of objectives: everything in a training that depends on the kind of output."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from seg_runtime.answers import ANSWERS, answer_of
from seg_runtime.model import Acquisition, AnswerSpec, Contract, Geometry, Intensity, Voxels
from seg_runtime.pipeline import Infer, Scaling, fitted, is_grey
from seg_runtime.support import DataError, counted
from torch import Tensor

from ...data import Augmentation, Case, ClassValues, DataSet, Example, Progress, Report
from ...evaluation import Measure, Measured, interval, measure, telling, with_measures
from ...networks import KeptMap
from ...options import DataOptions, Request, Settings, TrainOptions
from ...planning import DataStatistics, parse_intensity

_KEPT_BYTES = 1 << 28  # of scored cases, so that those of a preview need no second run of the model
_MOST_SHOWN = 12  # cases in a preview


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Choices of a training, from options and data.

    Attributes:
        channels: number of image channels.
        intensity: how grey values become floats.
        geometry: how an image becomes windows.
        answer: meaning of the output maps.
        augment: augmentation, see `Augmentation.parse`.
        class_weights: weights of the classes in the loss.
        border_weight: w0 of the weight map.
        balance: fraction of windows that are placed on a class drawn uniformly.
        scarce: classes that most images lack, with the indices of the cases that contain them.
        loss: name of the loss, if there are several.
        metrics: further measures of `seg-edge evaluate`.
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
    """A case with the prediction of a model and its scores.

    Attributes:
        name: name of the case.
        image: `(*spatial, C)`.
        truth: ground truth in the form of the prediction, labels `(*spatial)` or values `(K, *spatial)`.
        answer: prediction of the runtime.
        figures: input of `Objective.summary` for this case.
        score: score of this case, of the kind `Objective.key`.
        example: image and ground truth as they were read.
        rank: what the case is among those of a preview, such as `worst`.
    """

    name: str
    image: NDArray[Any]
    truth: NDArray[Any]
    answer: NDArray[Any]
    figures: Any
    score: float
    example: Example
    rank: str = ""

    @property
    def caption(self) -> str:
        """Rank and name, for a picture."""
        return f"{self.rank}: {self.name}" if self.rank else self.name

    @property
    def kind(self) -> str:
        """Kind of the image: grey, colour, or its number of channels."""
        channels = self.image.shape[-1]
        if channels == 1 or (channels == 3 and is_grey(self.image)):
            return "grey"
        return "colour" if channels == 3 else f"{channels}-channel"

    @property
    def nbytes(self) -> int:
        """Memory of the case."""
        return self.image.nbytes + self.truth.nbytes + self.answer.nbytes


@dataclass(frozen=True)
class Judged:
    """What is kept of a scored case.

    Attributes:
        case: the case.
        figures: input of `Objective.summary` for this case.
        score: score of this case, of the kind `Objective.key`.
        kind: kind of its image.
        measured: further measures.
        scored: the case with its image and prediction; None if they were not kept.
    """

    case: Case
    figures: Any
    score: float
    kind: str
    measured: Measured
    scored: ScoredCase | None

    @property
    def order(self) -> float:
        """Score that sorts images: mean AP if objects were measured, else `score`; NaN without anything to score."""
        return self.measured.objects.average_precision if self.measured.objects else self.score


class Objective(ABC):
    """Objective of a training. Other packages add one with an entry point of the group `seg_edge.objectives`.

    Attributes:
        Spec: class that describes the output in the contract; its `kind` is the name in the registry.
        truth: kind of ground truth, see `DataSet.truth`.
        options: fields of `TrainOptions` that the objective takes, among those that only some objectives take.
        importable: whether weights alone define the meaning of the output maps.
        placed_by_class: whether windows can be placed on a class, because the truth is class indices `(*spatial)`.
        on_pixels: whether windows are aligned with the pixels of the image if only flips move them, so that nothing is
            interpolated.
        key: key in logs of the score that selects the best checkpoint; higher is better.
        title: name of that score for the user.
        worst_score: smallest possible score.
        best_score: largest possible score.
    """

    Spec: ClassVar[type[AnswerSpec]]
    truth: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    importable: ClassVar[bool] = True
    placed_by_class: ClassVar[bool] = False
    on_pixels: ClassVar[bool] = False
    key: ClassVar[str]
    title: ClassVar[str]
    worst_score: ClassVar[float] = -math.inf
    best_score: ClassVar[float] = math.inf

    def __init__(
        self, contract: Contract, classes: Sequence[ClassValues] = (), settings: Settings | None = None
    ) -> None:
        """Set up the objective for a contract, with the classes of the masks and the settings of the training."""
        self.contract, self.classes, self.settings = contract, tuple(classes), settings or Settings()

    @classmethod
    def request(
        cls, options: DataOptions, data: DataSet | None = None, network: Sequence[str] | None = None
    ) -> Request:
        """Make the request for checking rules from the objective, the data set and the options that the network takes."""
        return Request(
            options=options, network=network, objective=cls.options, geometries=cls.Spec.geometries,
            importable=cls.importable, fits_data=data is None or data.truth == cls.truth,
        )  # fmt: skip

    @classmethod
    def check_options(cls, options: TrainOptions, output_px: int) -> None:
        """Check values of options before any case is read.

        Args:
            options: options of the training.
            output_px: smallest side of an output window in px.

        Raises:
            SegError: if a value is invalid, or no installed package can run such a model.
        """
        ANSWERS.get(cls.Spec.kind)
        parse_intensity(options.intensity)
        name, comma, settings = options.augment.partition(",")
        Augmentation.parse(f"{'none' if name.strip() == 'auto' else name}{comma}{settings}")

    @classmethod
    def choose_classes(
        cls, data: DataSet, options: TrainOptions, say: Report, progress: Progress = iter
    ) -> tuple[DataSet, tuple[ClassValues, ...]]:
        """Choose the classes of the masks; empty if the ground truth is not a mask.

        Args:
            data: data set.
            options: options of the training.
            say: called with what the user should know about the masks.
            progress: wraps the cases to show progress.

        Returns:
            The data set, as its masks are to be read, and the classes.
        """
        return data, ()

    @classmethod
    @abstractmethod
    def choose(
        cls, statistics: DataStatistics, training: DataStatistics, options: TrainOptions, say: Report
    ) -> Choices:
        """Make all choices that options leave to the data, and report each with its reason.

        Args:
            statistics: statistics of all cases.
            training: statistics of the training cases.
            options: options of the training.
            say: called with a line for each choice.
        """

    @classmethod
    def kept_maps(cls, old: AnswerSpec, new: AnswerSpec) -> list[KeptMap]:
        """Return the output maps of an earlier model that a training with `--from` keeps; by default all or none.

        Args:
            old: meaning of the maps of the earlier model.
            new: meaning of the maps of the new one.
        """
        return [KeptMap(place, place) for place in range(new.maps)] if old == new else []

    @abstractmethod
    def target(self, example: Example) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Compute the training target of a case.

        Args:
            example: example whose labels, instances and annotated pixels are framed for the contract. Its targets are
                unchanged, because windows of a regression are aligned with the pixels of the image.

        Returns:
            The target `(*spatial)` or `(*spatial, K)`, and the weight of each pixel `(*spatial)`.
        """

    @abstractmethod
    def target_window(self, target: NDArray[Any], where: NDArray[np.float64]) -> NDArray[Any]:
        """Sample a target at the coordinates `(A, *output_shape)`, in the form for the loss without the axis N."""

    @abstractmethod
    def loss(self, answer: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """Compute the loss, a scalar.

        Args:
            answer: output of the network, `(N, K, *spatial)`.
            truth: batch of `target_window`.
            weights: `(N, *spatial)` float.
        """

    @abstractmethod
    def compare(self, name: str, example: Example, answer: NDArray[Any]) -> ScoredCase:
        """Score a prediction of the runtime for a case."""

    @abstractmethod
    def summary(self, figures: Sequence[Any]) -> dict[str, Any]:
        """Average scores over images, from their `figures`; the result can be written as JSON."""

    @abstractmethod
    def table(self, result: dict[str, Any]) -> str:
        """Format a summary as a table for the user."""

    @abstractmethod
    def preview(self, cases: Sequence[ScoredCase]) -> Image.Image:
        """Draw one or more rows per case: image, ground truth and prediction."""

    def score(
        self, cases: Iterable[Case], infer: Infer, measures: Sequence[Measure] = (), preview: bool = False
    ) -> tuple[dict[str, Any], list[ScoredCase]]:
        """Score cases with the pipeline of the runtime; the summary can be written as JSON.

        Args:
            cases: cases to score.
            infer: the model.
            measures: further measures, for labels only.
            preview: whether to return cases for a preview: the worst, the median and the best of each kind of image.
        """
        every = self.judge(cases, infer, measures, keep=preview)
        shown = telling([one.score for one in every], [one.kind for one in every]) if preview else []
        ranked = [replace(self.scored(every[i], infer), rank=rank) for i, rank in shown[:_MOST_SHOWN]]
        return self.report(every, measures), ranked

    def judge(
        self, cases: Iterable[Case], infer: Infer, measures: Sequence[Measure] = (), keep: bool = False
    ) -> list[Judged]:
        """Score each case, see `score`.

        Args:
            cases: cases to score.
            infer: the model.
            measures: further measures, for labels only.
            keep: whether to keep images and predictions, as many as fit into some memory, so that `scored` is fast.
        """
        every: list[Judged] = []
        room = _KEPT_BYTES if keep else 0
        for case in cases:
            scored = self._scored(case, infer)
            room -= scored.nbytes
            measured = Measured({})
            if measures:
                labels, found = self.parts(scored.answer)
                empty = self.settings.empty_dice
                sized = any(one.of_surfaces for one in measures)
                sides = case.acquisition().spacing_mm[-labels.ndim :] if sized else ()
                sides = sides if len(sides) == labels.ndim else ()
                measured = measure(measures, scored.example, labels, self.classes, empty, case.name, found, sides)
            kept = scored if room > 0 else None
            every.append(Judged(case, scored.figures, scored.score, scored.kind, measured, kept))
        return every

    def report(self, every: Sequence[Judged], measures: Sequence[Measure] = ()) -> dict[str, Any]:
        """Summarize the scores of cases, with a confidence interval."""
        result = self.summary([one.figures for one in every])
        scores = [one.score for one in every]
        result["interval_95"] = interval(self.best(result), scores, self.worst_score, self.best_score)
        return with_measures(result, measures, [one.measured for one in every])

    def scored(self, judged: Judged, infer: Infer) -> ScoredCase:
        """Return a case with its image and prediction, which are computed again if they were not kept."""
        return judged.scored or self._scored(judged.case, infer)

    def parts(self, answer: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32] | None]:
        """Return the parts of a prediction that are measured: class indices, and ids of objects if the model has them."""
        return answer, None

    def _scored(self, case: Case, infer: Infer) -> ScoredCase:
        example = case.read(self.classes)
        image, scaling = self._fitted(case, example)
        answer = answer_of(self.contract)
        return self.compare(case.name, example, answer.unscaled(answer.segment(image, infer), scaling))

    def _fitted(self, case: Case, example: Example) -> tuple[NDArray[Any], Scaling]:
        """Return the image of a case as the network takes it, at the pixel size of the training images, as `seg-run` does."""
        image, policy = fitted(example.image, self.contract, case.name), self.contract.policy
        acquisition = case.acquisition() if policy.trained_spacing_mm else Acquisition()
        scaling = Scaling.of(image.shape[:-1], acquisition, policy)
        scaling.check_size(image, case.name)
        return scaling.there(image), scaling

    def average(self, result: dict[str, Any]) -> str:
        """Format the score of a table with its confidence interval and the number of images."""
        ends = result.get("interval_95")
        interval = f" (95 % confidence interval {ends[0]:.3f} to {ends[1]:.3f})" if ends else ""
        return f"mean {self.title} {self.best(result):.4f} over {counted(result['images'], 'image')}{interval}"

    def best(self, result: dict[str, Any]) -> float:
        """Return the score that selects the best checkpoint."""
        value = result[f"mean_{self.key}"]
        return math.nan if value is None else float(value)  # None if no image has anything to score

    def headline(self, result: dict[str, Any]) -> str:
        """Format the score that selects the best checkpoint, with its name."""
        return f"{self.title} {self.best(result):.4f}"

    def warnings(self, result: dict[str, Any]) -> list[str]:
        """Return what the user should know about the scores of a finished training."""
        return []

    def in_windows(self, geometry: Geometry) -> Objective:
        """Return the same objective with windows of another size."""
        return type(self)(replace(self.contract, geometry=geometry), self.classes, self.settings)

    def validated(self, cases: Sequence[Case], infer: Infer) -> tuple[Objective, dict[str, Any], list[ScoredCase]]:
        """Score validation cases with a preview, and choose what the contract leaves to them.

        Args:
            cases: validation cases.
            infer: the model.

        Returns:
            The objective with the chosen contract, and what `score` returns for it.
        """
        return self, *self.score(cases, infer, preview=True)

    def check_data(self, data: DataSet, say: Report) -> None:
        """Check that a data set can score the model, and report what the user should know about it.

        Raises:
            DataError: if the voxel grid or the kind of ground truth differs from the model's.
        """
        if data.voxels != self.contract.input.voxels:
            expected = f"{_input(self.contract.input.voxels)}, as in training"
            raise DataError(f"DATA has {_input(data.voxels)}", expected, "choose another --reader")
        if data.truth != self.truth:
            problem = f"DATA has {data.truth} as the ground truth"
            raise DataError(problem, f"{self.truth}, as in training", "choose another --reader")


def _input(voxels: Voxels | None) -> str:
    return f"structures on voxels of {voxels.side_angstrom:g} Å" if voxels else "images or volumes"
