"""Objective for labels: cross-entropy and Dice as loss, Dice as score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from seg_runtime.model import AnswerSpec, LabelSpec
from seg_runtime.support import DataError
from torch import Tensor

from ...data import (
    LABELS,
    ClassValues,
    DataSet,
    Example,
    Progress,
    Report,
    border_term,
    split_touching,
    warp,
    weight_map,
)
from ...evaluation import PARTITIONS, Measure, check_sized, confusion, dice, label_summary, object_table
from ...networks import KeptMap
from ...options import TrainOptions
from ...planning import (
    DataStatistics,
    MaskSurvey,
    choose_augmentation,
    choose_balance,
    choose_channels,
    choose_class_weights,
    choose_classes,
    choose_geometry,
    choose_intensity,
    coded,
    missing_classes,
    parse_classes,
    swapped,
)
from ..losses import dice_loss, weighted_cross_entropy
from ..pictures import label_preview
from .objective import Choices, Objective, ScoredCase

SIGMA_PX = 5.0  # width of the border term in the U-Net paper


class LabelObjective(Objective):
    """Predict the class of each pixel."""

    Spec = LabelSpec
    truth = LABELS
    placed_by_class = True
    options: ClassVar[tuple[str, ...]] = (
        "classes",
        "codes",
        "class_weights",
        "border_weight",
        "balance",
        "dice_weight",
        "empty_dice",
        "metrics",
        "ignore_value",
        "snap_values",
    )
    key = "dice"
    title = "Dice"
    worst_score, best_score = 0.0, 1.0

    @classmethod
    def check_options(cls, options: TrainOptions, output_px: int) -> None:
        """Also raise SegError for unknown measures."""
        super().check_options(options, output_px)
        Measure.parse(options.metrics or "")

    @classmethod
    def choose_classes(
        cls, data: DataSet, options: TrainOptions, say: Report, progress: Progress = iter
    ) -> tuple[DataSet, tuple[ClassValues, ...]]:
        """Choose the classes, with their codes, from the option, the data set or the masks."""
        found = parse_classes(options.classes, say) if options.classes else data.classes
        try:
            masks = MaskSurvey.of(data, found, progress)
            for text in masks.notes:
                say(f"note: {text}")
            data, found = choose_classes(masks, found, options.snap_values, say)
        except DataError as error:
            raise swapped(data) or error from error
        infos = coded([entry.info for entry in found], options.codes)
        return data, tuple(replace(entry, info=info) for entry, info in zip(found, infos, strict=True))

    def check_data(self, data: DataSet, say: Report) -> None:
        """Also check the masks."""
        super().check_data(data, say)
        masks = MaskSurvey.of(data, self.classes)
        for text in masks.notes:
            say(f"note: {text}")
        masks.check(self.classes)

    @classmethod
    def choose(
        cls, statistics: DataStatistics, training: DataStatistics, options: TrainOptions, say: Report
    ) -> Choices:
        """Make all choices that options leave to the data, and report each with its reason."""
        of_training = say if options.trains else _silent
        measures = Measure.parse(options.metrics or "")
        check_sized(measures, ((case.name, case.acquisition.spacing_mm) for case in statistics.cases))
        counts, known = ([case.pixels for case in part.cases] for part in (statistics, training))
        for text in missing_classes(counts, known, [entry.info.name for entry in statistics.classes]):
            say(f"note: {text}")
        channels, why = choose_channels(statistics, options.channels, options.kept)
        say(f"channels: {channels} ({why})")
        intensity, why = choose_intensity(training, channels, options.intensity, options.kept)
        say(f"intensity: {intensity.method} ({why})")
        geometry, why = cls._geometry(training, options)
        say(f"geometry: {geometry} ({why})")
        weights, why = choose_class_weights(training, options.class_weights)
        of_training(f"class weights: {', '.join(f'{w:.2f}' for w in weights)} ({why})")
        border, why = cls._border_weight(options, statistics.data.instances_only)
        of_training(f"border weight: {border:g} ({why})")
        balance, why = choose_balance(training, options.balance)
        if cls.placed_by_class:
            of_training(f"balanced windows: {balance:.0%} ({why})")
        augment, why = choose_augmentation(intensity, options.augment)
        of_training(f"augmentation: {augment} ({why})")
        return Choices(
            channels=channels, intensity=intensity, geometry=geometry, augment=augment,
            answer=cls.Spec(tuple(entry.info for entry in statistics.classes)),
            class_weights=weights, border_weight=border, balance=balance, scarce=training.scarce_classes,
            metrics=",".join(measure.text for measure in measures),
        )  # fmt: skip

    @classmethod
    def _geometry(cls, training: DataStatistics, options: TrainOptions) -> tuple[str, str]:
        """Choose the geometry."""
        return choose_geometry(training, options.geometry, options.kept)

    @classmethod
    def _border_weight(cls, options: TrainOptions, instances_only: bool) -> tuple[float, str]:
        """Choose the height w0 of the border term of the weight map."""
        if options.border_weight is not None:
            return options.border_weight, "set by you"
        if instances_only:
            return 10.0, "the data set has instances only, so the gaps between them matter"
        return 0.0, "the aim is overlap with the masks; 10 teaches the gaps between cells, as in the paper"

    @classmethod
    def kept_maps(cls, old: AnswerSpec, new: AnswerSpec) -> list[KeptMap]:
        """Keep classes by name."""
        if not isinstance(old, LabelSpec) or not isinstance(new, LabelSpec):
            return []
        before = {entry.name: place for place, entry in enumerate(old.classes)}
        return [KeptMap(i, before[entry.name]) for i, entry in enumerate(new.classes) if entry.name in before]

    def target(self, example: Example) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return class indices `(*spatial)` and weights, which are higher in the gaps between cells."""
        labels, instances = example.labels, example.instances
        border: NDArray[np.float64] | float = 0.0
        if self.settings.border_weight:
            cells = split_touching(labels) if instances is None else instances
            border = border_term(cells, self.settings.border_weight, SIGMA_PX)
            if instances is None:
                labels = np.where(cells > 0, labels, 0).astype(
                    np.uint8
                )  # the seam between touching cells is background
        weights = weight_map(labels, self.settings.class_weights, w0=0.0) + border
        return labels, weights.astype(np.float32)

    def target_window(self, target: NDArray[np.uint8], where: NDArray[np.float64]) -> NDArray[np.int64]:
        """Sample class indices `(*output_shape)`."""
        return warp(target[..., None], where, 0)[..., 0].astype(np.int64)

    def loss(self, answer: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """Compute weighted cross-entropy plus Dice loss; truth is `(N, *spatial)` int64."""
        loss = weighted_cross_entropy(answer, truth, weights)
        if self.settings.dice_weight:
            loss = loss + self.settings.dice_weight * dice_loss(answer, truth, known=weights > 0)
        return loss

    def compare(self, name: str, example: Example, answer: NDArray[Any]) -> ScoredCase:
        """Score a case; figures are pixel counts `(K, K)` of annotated pixels."""
        known = slice(None) if example.known is None else example.known
        counts = confusion(example.labels[known], answer[known], len(self.classes))
        return ScoredCase(name, example.image, example.labels, answer, counts, float(np.nanmean(dice(counts))), example)

    def summary(self, figures: Sequence[Any]) -> dict[str, Any]:
        """Average the scores, see `metrics.label_summary`."""
        return label_summary(figures, [c.info.name for c in self.classes], self.settings.empty_dice)

    def table(self, result: dict[str, Any]) -> str:
        """Format one line per class, and the measures of objects."""
        lines = self._class_lines(result)
        if "objects" in result:
            lines.append(object_table(result["objects"]))
        return "\n".join([*lines, f"pixel error {_number(result['pixel_error'])}, {self._of_images(result)}"])

    def _class_lines(self, result: dict[str, Any]) -> list[str]:
        """Format the scores of each class."""
        columns = [key for key in result["classes"][0] if key != "name"]
        heads = [{"dice": "Dice", "iou": "IoU"}.get(key, key) for key in columns]
        lines = [f"{'class':<16} {' '.join(f'{head:>8}' for head in heads)}"]
        for entry in result["classes"]:
            numbers = (f"{_number(entry[key]):>{max(8, len(head))}}" for key, head in zip(columns, heads, strict=True))
            lines.append(f"{entry['name']:<16} {' '.join(numbers)}")
        return lines

    def _of_images(self, result: dict[str, Any]) -> str:
        """Format the measures of whole images, and the average."""
        known = [key for key in result if key.startswith(PARTITIONS)]  # voi has "voi split", too
        return ", ".join([*(f"{key} {_number(result[key])}" for key in known), self.average(result)])

    def headline(self, result: dict[str, Any]) -> str:
        """Add the mean Dice of the classes other than the background, because a large background hides small classes."""
        scores = [entry["dice"] for entry in result["classes"][1:] if entry["dice"] is not None]
        foreground = f" (foreground {np.mean(scores):.3f})" if scores else ""
        return f"{self.title} {self.best(result):.4f}{foreground}"

    def warnings(self, result: dict[str, Any]) -> list[str]:
        """Name the classes that the validation images lack, and those of which nothing, or nothing right, was found."""
        lacking: list[str] = []
        nothing: list[str] = []
        wrong: list[str] = []
        pixels = result.get("pixels", {"true": [], "found": [], "right": []})  # models of before have none
        rows = zip(result["classes"], pixels["true"], pixels["found"], pixels["right"], strict=False)
        for entry, true, found, right in rows:
            if not true:
                lacking.append(entry["name"])
            elif not right:
                (wrong if found else nothing).append(entry["name"])
        advice = "train longer, or see the preview and the masks for what is wrong"
        lines = (
            (
                lacking,
                "no validation image contains {}, so no score says how well it is found: choose others with --val-list",
            ),
            (nothing, f"no pixel of {{}} was found in the validation images: {advice}"),
            (wrong, f"{{}} was found in the validation images, but only where it is not: {advice}"),
        )
        return [line.format(" or ".join(names)) for names, line in lines if names]

    def preview(self, cases: Sequence[ScoredCase]) -> Image.Image:
        """Draw the preview, see `pictures.label_preview`."""
        return label_preview([(c.caption, c.image, c.truth, c.answer, c.score) for c in cases], self.contract.classes)


def _silent(line: str) -> None:
    """Say nothing about a choice that an import does not use."""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
