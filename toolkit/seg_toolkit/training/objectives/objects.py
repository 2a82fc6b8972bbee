"""Objective for objects: classes, and maps that separate objects which touch; average precision as score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from seg_runtime.answers import Objects
from seg_runtime.model import SEPARATIONS, AnswerSpec, Contract, LabelSpec, ObjectSpec
from seg_runtime.pipeline import Array, Infer, Scaling
from seg_runtime.support import DataError
from torch import Tensor
from torch.nn import functional as F

from ...data import (
    Case,
    ClassValues,
    Example,
    Report,
    border,
    border_term,
    distances,
    warp,
    weight_map,
)
from ...evaluation import Measure, ObjectScores, object_summary, object_table
from ...networks import KeptMap
from ...options import Settings, TrainOptions
from ...planning import MOST_CONTRADICTED, CaseStatistics, DataStatistics
from ..pictures import object_preview
from .labels import SIGMA_PX, LabelObjective
from .objective import Choices, Judged, Objective, ScoredCase

_MASK_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
_SEED_THRESHOLDS = (0.2, 0.35, 0.5, 0.65, 0.8)
_PEAKS_PX = (0.0, 0.25, 0.5, 1.0, 2.0)
_SPECK = 0.25  # of the area that 95 % of the true objects reach: the smallest object
_SMALLEST = (0, 1, 2)  # times that; more would cut away the small objects of images unlike the validation images
_TUNED_ON, _TUNED_PX = 24, 32_000_000  # most validation images on which thresholds are chosen, and about their pixels


class _Planes(Objects):
    """The stitched planes of an image, from which objects are grown."""

    def whole(self, stitched: Array) -> Array:
        """Return the planes unchanged."""
        return stitched


class _Seen(NamedTuple):
    """A validation case and the planes that a model gives for it, at the pixel size of the model."""

    example: Example
    planes: Array
    scaling: Scaling

    def grown(self, answer: Objects) -> Array:
        """Grow the objects, on the grid of the image."""
        return answer.unscaled(answer.whole(self.planes), self.scaling)


class ObjectObjective(LabelObjective):
    """Predict the class of each pixel, and what separates objects."""

    Spec = ObjectSpec  # type: ignore[assignment]  # it has classes too
    placed_by_class = False
    importable = False
    options: ClassVar[tuple[str, ...]] = (
        *(o for o in LabelObjective.options if o not in ("balance", "empty_dice")),
        "separation",
    )
    key = "ap"
    title = "AP"

    def __init__(
        self, contract: Contract, classes: Sequence[ClassValues] = (), settings: Settings | None = None
    ) -> None:
        """Set up the objective, see `Objective`."""
        super().__init__(contract, classes, settings)
        self._seen: dict[str, _Seen] = {}  # validation cases and their planes, while they are scored

    @classmethod
    def choose(
        cls, statistics: DataStatistics, training: DataStatistics, options: TrainOptions, say: Report
    ) -> Choices:
        """Make all choices that options leave to the data, and report each with its reason.

        Raises:
            DataError: if the data set has no instances, or they contradict the masks.
        """
        for case in statistics.cases:
            _check_instances(case)
        chosen = super().choose(statistics, training, options, say)
        assert isinstance(chosen.answer, ObjectSpec)
        kept = options.kept.objects
        separation, why = ObjectSpec.separation, "the default"
        if options.separation:
            separation, why = options.separation, "set by you"
        elif kept:
            separation, why = kept.separation, options.kept.why
        say(f"separation: {separation} ({why})")
        smallest = round(_SPECK * _small_area([case.objects.areas for case in training.cases if case.objects]))
        why = "a quarter of the area that 95 % of the true objects reach"
        if kept:
            smallest, why = kept.smallest_px, options.kept.why
        say(f"smallest object: {smallest} px ({why})")
        return replace(chosen, answer=replace(chosen.answer, separation=separation, smallest_px=smallest))

    @classmethod
    def _geometry(cls, training: DataStatistics, options: TrainOptions) -> tuple[str, str]:
        """Objects need the full resolution."""
        return "tile", "objects need the full resolution"

    @classmethod
    def _border_weight(cls, options: TrainOptions, instances_only: bool) -> tuple[float, str]:
        """Choose the height w0 of the border term of the weight map."""
        if options.border_weight is None:
            return 10.0, "the gaps between objects matter, as in the paper"
        return options.border_weight, "set by you"

    @classmethod
    def kept_maps(cls, old: AnswerSpec, new: AnswerSpec) -> list[KeptMap]:
        """Keep classes by name, and the maps that separate objects if they mean the same."""
        if not isinstance(old, (LabelSpec, ObjectSpec)) or not isinstance(new, ObjectSpec):
            return []
        kept = super().kept_maps(LabelSpec(old.classes), LabelSpec(new.classes))
        if isinstance(old, ObjectSpec) and old.separation == new.separation:
            first, before = len(new.classes), len(old.classes)
            kept += [KeptMap(first + i, before + i) for i in range(SEPARATIONS[new.separation])]
        return kept

    @property
    def spec(self) -> ObjectSpec:
        """Meaning of the output maps."""
        assert isinstance(self.contract.answer, ObjectSpec)
        return self.contract.answer

    def target(self, example: Example) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Compute the target of a case.

        It is made from whole objects, and windows are cut, turned and deformed from it. So a deformation neither splits nor
        merges objects.

        Returns:
            For `border`, class indices `(*spatial)` uint8, where K is the border. For `distance`, `(*spatial, 3)` float32: the
            class index and the two distances. Then the weight of each pixel.
        """
        assert example.instances is not None
        weights = weight_map(example.labels, self.settings.class_weights, w0=0.0)
        if self.settings.border_weight:
            weights = weights + border_term(example.instances, self.settings.border_weight, SIGMA_PX).astype(np.float32)
        if self.spec.separation == "border":
            edge = np.uint8(len(self.spec.classes))
            return np.where(border(example.instances), edge, example.labels).astype(np.uint8), weights
        planes = [example.labels.astype(np.float32), *distances(example.instances)]
        return np.stack(planes, axis=-1), weights

    def target_window(self, target: NDArray[Any], where: NDArray[np.float64]) -> NDArray[Any]:
        """Sample class indices `(*output_shape)`, or class indices and distances `(3, *output_shape)`."""
        if self.spec.separation == "border":
            return super().target_window(target, where)
        labels, apart = warp(target[..., :1], where, 0), warp(target[..., 1:], where, 1)
        return np.ascontiguousarray(np.moveaxis(np.concatenate([labels, apart], axis=-1), -1, 0))

    def loss(self, answer: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """Compute the loss of the classes, as for labels, and for `distance` also the cross-entropy of the distances."""
        if self.spec.separation == "border":
            return super().loss(answer, truth, weights)
        count, known = len(self.spec.classes), (weights > 0).float()
        own, apart = answer[:, :count], answer[:, count:].float()
        errors = F.binary_cross_entropy_with_logits(apart, truth[:, 1:], reduction="none").sum(dim=1)
        return super().loss(own, truth[:, 0].long(), weights) + torch.sum(errors * known) / known.sum().clamp_min(1)

    def compare(self, name: str, example: Example, answer: NDArray[Any]) -> ScoredCase:
        """Score a case; figures are `ObjectScores` and the pixel counts of classes.

        Raises:
            DataError: if the case has no instances.
        """
        if example.instances is None:
            raise _no_instances(name)
        scores = _scores(example, answer)
        labels, _ = self.parts(answer)
        figures = scores, super().compare(name, example, labels).figures
        truth = np.stack([example.instances, example.labels.astype(np.int32)])
        return ScoredCase(name, example.image, truth, answer, figures, scores.average_precision, example)

    def parts(self, answer: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32] | None]:
        """Return the class indices and the ids of a prediction."""
        return answer[1].astype(np.uint8), answer[0]

    def summary(self, figures: Sequence[Any]) -> dict[str, Any]:
        """Summarize the scores, see `evaluation.object_summary`, with Dice and IoU of the `classes` and their `pixels`."""
        objects, counts = zip(*figures, strict=True)
        classes = super().summary(counts)
        return {**object_summary(objects), **{part: classes[part] for part in ("classes", "pixels")}}

    def judge(
        self, cases: Iterable[Case], infer: Infer, measures: Sequence[Measure] = (), keep: bool = False
    ) -> list[Judged]:
        """Score each case, see `Objective.judge`; the measures of objects are there without being named."""
        return super().judge(cases, infer, [one for one in measures if not one.of_objects], keep)

    def table(self, result: dict[str, Any]) -> str:
        """Format the scores of objects and of classes, and the thresholds if they were chosen."""
        lines = [object_table(result), *self._class_lines(result)]
        if chosen := result.get("chosen"):
            lines.append(
                f"objects have a core with {chosen['seed_threshold']:g} of the interior, peaks of {chosen['peak_px']:g} px, a"
                f" probability of {chosen['mask_threshold']:g} and at least {chosen['smallest_px']} px (chosen on the validation images: AP {chosen['before']:.4f} →"
                f" {chosen['after']:.4f})"
            )
        lines.append(self._of_images(result))
        return "\n".join(lines)

    def headline(self, result: dict[str, Any]) -> str:
        """Format the score with the number of objects."""
        return f"{Objective.headline(self, result)} (of all objects, at IoU 0.5 {result['ap']['0.50'] or 0:.3f})"

    def warnings(self, result: dict[str, Any]) -> list[str]:
        """Say if no object was found, else what `LabelObjective` says about classes."""
        if result["found"]:
            return super().warnings(result)
        return ["no object was found in the validation images: train longer, or see the preview for what is wrong"]

    def preview(self, cases: Sequence[ScoredCase]) -> Image.Image:
        """Draw the preview, see `pictures.object_preview`."""
        return object_preview(
            [(c.caption, c.image, c.truth[0], c.answer[0], c.score) for c in cases], [c.example.known for c in cases]
        )

    def validated(self, cases: Sequence[Case], infer: Infer) -> tuple[Objective, dict[str, Any], list[ScoredCase]]:
        """Choose the thresholds and the smallest object with the highest mean AP on validation images, and score all.

        The chosen numbers and their effect are in the entry `chosen` of the summary.
        """
        planes, seen, room = _Planes(self.contract), dict[str, _Seen](), _TUNED_PX
        for case in cases[:: -(-len(cases) // _TUNED_ON)]:
            example = case.read(self.classes)
            image, scaling = self._fitted(case, example)
            seen[case.name] = _Seen(example, planes.segment(image, infer), scaling)
            room -= example.labels.size
            if room <= 0:
                break

        def judged(spec: ObjectSpec) -> float:
            grow = Objects(replace(self.contract, answer=spec))
            scores = [_scores(case.example, case.grown(grow)).average_precision for case in seen.values()]
            return float(np.nanmean(scores)) if np.isfinite(scores).any() else 0.0

        steps: dict[str, Sequence[Any]] = {
            "seed_threshold": _SEED_THRESHOLDS,
            "mask_threshold": _MASK_THRESHOLDS,
            "peak_px": _PEAKS_PX,
            "smallest_px": [factor * self.spec.smallest_px for factor in _SMALLEST],
        }
        best, before, after = climbed(self.spec, steps, judged)
        objective = type(self)(replace(self.contract, answer=best), self.classes, self.settings)
        objective._seen = seen
        result, shown = objective.score(cases, infer, preview=True)
        objective._seen = {}
        result["chosen"] = {**{name: getattr(best, name) for name in steps}, "before": before, "after": after}
        return objective, result, shown

    def _scored(self, case: Case, infer: Infer) -> ScoredCase:
        """Grow the objects of planes that are known; run the model for other cases."""
        if case.name not in self._seen:
            return super()._scored(case, infer)
        seen = self._seen[case.name]
        return self.compare(case.name, seen.example, seen.grown(Objects(self.contract)))


def climbed(
    start: ObjectSpec, steps: Mapping[str, Sequence[Any]], judge: Callable[[ObjectSpec], float]
) -> tuple[ObjectSpec, float, float]:
    """Change one number after the other as long as the score grows. All combinations would take many times as long.

    Args:
        start: the numbers at the beginning.
        steps: the values that a number may have, in order.
        judge: computes the score.

    Returns:
        The best numbers, and the scores at the start and of the best.
    """
    known = cache(judge)
    best = start
    for name, values in steps.items():
        for step in (1, -1):
            place = int(np.abs(np.subtract(values, getattr(best, name))).argmin()) + step
            while 0 <= place < len(values):
                tried = replace(best, **{name: values[place]})
                if known(tried) <= known(best):
                    break
                best, place = tried, place + step
    return best, known(start), known(best)


def _scores(example: Example, answer: NDArray[Any]) -> ObjectScores:
    """Score the ids of a prediction."""
    assert example.instances is not None
    return ObjectScores.of(example.instances, answer[0], example.known)


def _small_area(images: Sequence[NDArray[np.int64]]) -> float:
    """Return the area in px that 95 % of the objects of images reach, from their areas."""
    areas = np.concatenate(images)
    return float(np.percentile(areas[areas > 0], 5)) if (areas > 0).any() else 0.0


def _check_instances(case: CaseStatistics) -> None:
    """Check that a case has instances that agree with its mask.

    Raises:
        DataError: if it has none, or they contradict the mask.
    """
    if case.objects is None:
        raise _no_instances(case.name)
    if case.objects.contradicted > MOST_CONTRADICTED:
        problem = f"the instances of {case.name} contradict its mask in {case.objects.contradicted:.0%} of their pixels"
        expected = "objects in the classes other than the background"
        raise DataError(problem, expected, "correct the mask or the instances")


def _no_instances(name: str) -> DataError:
    expected = "a folder instances with ids of objects, or masks that number objects"
    advice = "add them, or number the objects of the masks and use --reader pairs:masks=instances"
    return DataError(f"{name} has no instances, which are the ground truth of objects", expected, advice)
