"""Objective for regression: L1, L2 or SSIM as loss, PSNR as score, and MAE, RMSE and SSIM as further metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from seg_runtime.answers import Values
from seg_runtime.model import AnswerSpec, Contract, OutputInfo, ValueSpec
from seg_runtime.support import DataError, OptionsError
from torch import Tensor

from ...data import VALUES, ClassValues, DataSet, Example, Report, warp
from ...evaluation import VALUE_METRICS, or_none, value_scores
from ...networks import KeptMap
from ...options import Settings, TrainOptions
from ...planning import DataStatistics, choose_augmentation, choose_channels, choose_intensity, choose_outputs
from ..losses import SSIM_REACH_PX, VALUE_LOSSES
from ..pictures import value_preview
from .objective import Choices, Objective, ScoredCase

_LOSS = "l1"


class ValueObjective(Objective):
    """Predict the values of the targets.

    PSNR selects the best checkpoint. It is the mean squared error on a scale that does not depend on the unit.
    """

    Spec = ValueSpec
    truth = VALUES
    options = ("outputs", "loss")
    importable = False
    on_pixels = True
    key = "psnr"
    title = "PSNR in dB"

    def __init__(
        self, contract: Contract, classes: Sequence[ClassValues] = (), settings: Settings | None = None
    ) -> None:
        """Set up the objective.

        Raises:
            OptionsError: see `check_options`.
        """
        super().__init__(contract, classes, settings)
        assert isinstance(contract.answer, ValueSpec)
        self.outputs = contract.answer.outputs
        side = min(contract.geometry.output_shape)
        self._terms = [VALUE_LOSSES[name] for name in _loss_names(self.settings.loss or _LOSS, side)]
        ranges = [(o.offset / (o.high - o.low), o.scale / (o.high - o.low)) for o in self.outputs]
        self._to_range = tuple(zip(*ranges, strict=True))

    @classmethod
    def check_options(cls, options: TrainOptions, output_px: int) -> None:
        """Also raise OptionsError if the loss is unknown or needs larger windows."""
        super().check_options(options, output_px)
        _loss_names(options.loss or _LOSS, output_px)

    @classmethod
    def choose(
        cls, statistics: DataStatistics, training: DataStatistics, options: TrainOptions, say: Report
    ) -> Choices:
        """Make all choices that options leave to the data, and report each with its reason."""
        channels, why = choose_channels(statistics, options.channels, options.kept)
        say(f"channels: {channels} ({why})")
        auto = options.intensity == "auto" and not options.kept.intensity
        wanted = "standardize" if auto else options.intensity
        intensity, why = choose_intensity(training, channels, wanted, options.kept)
        say(f"intensity: {intensity.method} ({'targets depend on the scale of grey values' if auto else why})")
        targets = [case.targets for case in training.cases if case.targets]
        outputs = choose_outputs(targets, statistics.data.outputs, options.outputs, options.kept)
        say(f"outputs: {_described(outputs)}")
        augment, why = choose_augmentation(None, options.augment)
        say(f"augmentation: {augment} ({why})")
        why = "set by you" if options.loss else "it fits the median, so single bright pixels do not dominate"
        loss = options.loss or _LOSS
        say(f"loss: {loss} ({why})")
        return Choices(
            channels=channels,
            intensity=intensity,
            geometry="tile",
            answer=cls.Spec(outputs),
            augment=augment,
            loss=loss,
        )

    @classmethod
    def kept_maps(cls, old: AnswerSpec, new: AnswerSpec) -> list[KeptMap]:
        """Keep outputs by name, converted to the new scale of the network's values."""
        if not isinstance(old, ValueSpec) or not isinstance(new, ValueSpec):
            return []
        before = {output.name: (place, output) for place, output in enumerate(old.outputs)}
        return [
            KeptMap(i, before[o.name][0], before[o.name][1].scale / o.scale, (before[o.name][1].offset - o.offset) / o.scale)
            for i, o in enumerate(new.outputs) if o.name in before
        ]  # fmt: skip

    def target(self, example: Example) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return targets `(*spatial, K)` in the units of the network, and equal weights."""
        assert example.targets is not None
        return Values(self.contract).to_network(example.targets), np.ones(example.targets.shape[:-1], np.float32)

    def target_window(self, target: NDArray[np.float32], where: NDArray[np.float64]) -> NDArray[np.float32]:
        """Sample values `(K, *output_shape)`."""
        return np.ascontiguousarray(np.moveaxis(warp(target, where, 3), -1, 0))

    def loss(self, answer: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """Sum the terms of the loss; truth is `(N, K, *spatial)` float32 in the units of the network."""
        first, *others = (term(answer, truth, weights, *self._to_range) for term in self._terms)
        return sum(others, first)

    def compare(self, name: str, example: Example, answer: NDArray[Any]) -> ScoredCase:
        """Score a case; figures are those of `metrics.value_scores`."""
        assert example.targets is not None
        truth = np.moveaxis(example.targets, -1, 0)
        figures = value_scores(truth, answer, [o.high - o.low for o in self.outputs])
        return ScoredCase(name, example.image, truth, answer, figures, float(np.mean(figures["psnr"])), example)

    def summary(self, figures: Sequence[Any]) -> dict[str, Any]:
        """`{"images": n, "mean_psnr": dB, "mean_ssim": s, "outputs": [{"name", "unit", "mae", "rmse", "psnr", "ssim"}, …]}`.

        These are means over images with equal weights. MAE and RMSE are in the unit of the output. SSIM is None for images
        that are smaller than its window.
        """
        means = {metric: np.mean([f[metric] for f in figures], axis=0) for metric in VALUE_METRICS}
        outputs = [
            {"name": o.name, "unit": o.unit, **{m: or_none(means[m][i]) for m in VALUE_METRICS}}
            for i, o in enumerate(self.outputs)
        ]
        whole = {f"mean_{m}": or_none(means[m].mean()) for m in ("psnr", "ssim")}
        return {"images": len(figures), **whole, "outputs": outputs}

    def table(self, result: dict[str, Any]) -> str:
        """Format one line per output."""
        lines = [f"{'output':<16} {'MAE':>10} {'RMSE':>10} {'PSNR dB':>8} {'SSIM':>8}"]
        for entry in result["outputs"]:
            name = f"{entry['name']} ({entry['unit']})" if entry["unit"] else entry["name"]
            similar = "-" if entry["ssim"] is None else f"{entry['ssim']:.4f}"
            lines.append(f"{name:<16} {entry['mae']:>10.4g} {entry['rmse']:>10.4g} {entry['psnr']:>8.2f} {similar:>8}")
        lines.append(self.average(result))
        return "\n".join(lines)

    def preview(self, cases: Sequence[ScoredCase]) -> Image.Image:
        """Draw the preview, see `pictures.value_preview`."""
        shown = [(c.caption, c.image, c.truth, c.answer, c.figures["psnr"]) for c in cases]
        return value_preview(shown, [o.name for o in self.outputs])

    def check_data(self, data: DataSet, say: Report) -> None:
        """Also raise DataError if the number of values per pixel differs."""
        super().check_data(data, say)
        if len(data.outputs) != len(self.outputs):
            problem = f"DATA has {_values(data.outputs)}"
            raise DataError(problem, f"{_values(self.outputs)}, as the model predicts", "choose another --reader")


def _loss_names(loss: str, output_px: int) -> list[str]:
    """Parse a loss such as `l1+ssim`.

    Raises:
        OptionsError: if a term is unknown or repeated, or windows are too small for SSIM.
    """
    names = loss.split("+")
    if not set(names) <= VALUE_LOSSES.keys() or len(set(names)) < len(names):
        expected = f"{', '.join(VALUE_LOSSES)}, or a sum such as l1+ssim"
        raise OptionsError(f"--loss is {loss}", expected, "choose one of them")
    least = 2 * SSIM_REACH_PX + 1
    if "ssim" in names and output_px < least:
        problem = f"the output window of {output_px} px is too small for --loss {loss}"
        raise OptionsError(problem, f"{least} px or more", "use a larger --input-size or another loss")
    return names


def _described(outputs: Sequence[OutputInfo]) -> str:
    return ", ".join(
        f"{o.name} {o.low:.4g} to {o.high:.4g}{f' {o.unit}' if o.unit else ''} (mean {o.offset:.4g}, spread {o.scale:.4g})"
        for o in outputs
    )


def _values(outputs: Sequence[object]) -> str:
    return f"{len(outputs)} value{'s'[: len(outputs) > 1]} per pixel"
