"""The aim of a regression: L1, L2 or SSIM to lower, PSNR to score by, MAE, RMSE and SSIM beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from PIL import Image
from seg_runtime.model.answer import ValueSpec
from seg_runtime.model.contract import Contract
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import SegError
from torch import Tensor

from ...data.case import Example
from ...evaluation.value_metrics import METRICS, scores
from ..pictures import value_preview
from ..value_loss import LOSSES, REACH_PX
from .aim import Aim, Judged


class ValueAim(Aim):
    """Values near those of the targets.

    PSNR chooses: it is the mean squared error on a scale that outputs of any unit share.
    """

    key = "psnr"
    title = "PSNR in dB"
    LOSS: ClassVar[str] = "l1"

    def __init__(self, contract: Contract, loss: str = LOSS) -> None:
        """Set it up.

        Args:
            contract: of the model.
            loss: of `LOSSES`, or a sum of them such as `l1+ssim`.

        Raises:
            SegError: an unknown loss, one twice, or windows too small for SSIM.
        """
        super().__init__(contract)
        assert isinstance(contract.answer, ValueSpec)
        self.outputs = contract.answer.outputs
        names = loss.split("+")
        if not set(names) <= LOSSES.keys() or len(set(names)) < len(names):
            raise SegError(f"--loss {loss}", f"{', '.join(LOSSES)}, or a sum such as l1+ssim", "choose one")
        least = 2 * REACH_PX + 1
        if "ssim" in names and min(contract.geometry.output_shape) < least:
            came = f"--loss {loss} and an output window of {min(contract.geometry.output_shape)} px"
            raise SegError(came, f"{least} px or more", "take a larger --input-size, or another loss")
        self._terms = [LOSSES[name] for name in names]

    def loss(self, answer: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """Sum of the terms; truth is `(N, K, *spatial)` float32 in the network's units."""
        first, *others = (term(answer, truth, weights, self.outputs) for term in self._terms)
        return sum(others, first)

    def compare(self, name: str, example: Example, answer: Array) -> Judged:
        """Figures are `value_metrics.scores`."""
        assert example.targets is not None
        truth = np.moveaxis(example.targets, -1, 0)
        figures = scores(truth, answer, self.outputs)
        return Judged(name, example.image, truth, answer, figures, float(np.mean(figures["psnr"])), example)

    def summary(self, figures: Sequence[Any]) -> dict[str, Any]:
        """`{"images": n, "mean_psnr": dB, "mean_ssim": s, "outputs": [{"name", "unit", "mae", "rmse", "psnr", "ssim"}, …]}`.

        Means over images, each counting the same; MAE and RMSE are in the output's unit. SSIM of images that are smaller
        than its window is None.
        """
        means = {metric: np.mean([f[metric] for f in figures], axis=0) for metric in METRICS}
        outputs = [
            {"name": o.name, "unit": o.unit, **{m: _number(means[m][i]) for m in METRICS}}
            for i, o in enumerate(self.outputs)
        ]
        whole = {f"mean_{m}": _number(means[m].mean()) for m in ("psnr", "ssim")}
        return {"images": len(figures), **whole, "outputs": outputs}

    def table(self, result: dict[str, Any]) -> str:
        """A line for each output."""
        lines = [f"{'output':<16} {'MAE':>10} {'RMSE':>10} {'PSNR dB':>8} {'SSIM':>8}"]
        for entry in result["outputs"]:
            name = f"{entry['name']} ({entry['unit']})" if entry["unit"] else entry["name"]
            similar = "-" if entry["ssim"] is None else f"{entry['ssim']:.4f}"
            lines.append(f"{name:<16} {entry['mae']:>10.4g} {entry['rmse']:>10.4g} {entry['psnr']:>8.2f} {similar:>8}")
        lines.append(f"mean over {result['images']} images")
        return "\n".join(lines)

    def preview(self, cases: Sequence[Judged]) -> Image.Image:
        """See `picture.value_preview`."""
        return value_preview([(j.name, j.image, j.truth, j.answer, j.figures["psnr"]) for j in cases], self.outputs)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
