"""Parity: how far a form of the model is from the torch model, in logits and, where there are labels, in what a user sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from seg_runtime.answers import answer_of
from seg_runtime.model.contract import Contract
from seg_runtime.model.golden import FLIP_MARGIN_ERRORS, FP32_LIMIT
from seg_runtime.pipeline import Array, Float, Grid
from seg_runtime.pipeline.geometry import frame
from seg_runtime.pipeline.windows import Infer
from seg_runtime.support.errors import ParityError

OF_LABELS = ("labels", "flipped", "max_flip_margin", "label_agreement", "flipped_per_million")  # figures
PAPER_OUTPUT = 388  # px of a side that a window of 572 px answers


@dataclass(frozen=True)
class Limits:
    """What a form of the model may differ by."""

    error_of_range: float = FP32_LIMIT
    """Largest logit error, as a share of the reference logits' range."""
    flip_margin_errors: float = FLIP_MARGIN_ERRORS
    """A label may flip only where the reference was undecided by at most so many times the largest error."""


@dataclass
class Parity:
    """Agreement of a form with the reference, the torch model as a rule, over all windows seen."""

    windows: int = 0
    pixels: int = 0
    max_abs_error: float = 0.0
    mean_abs_error: float = 0.0
    logit_min: float = math.inf
    logit_max: float = -math.inf
    labels: int = 0
    """Pixels whose labels were compared; none of a regression, whose values follow from the logits by a factor."""
    flipped: int = 0
    max_flip_margin: float = 0.0
    """Largest top-1 minus top-2 of the reference, in logits, at a pixel whose label flipped."""
    not_finite: int = 0

    def add(self, reference: Float, answer: Float, contract: Contract) -> None:
        """Compare one window: both `(K, h, w)` float32 logits."""
        error = np.abs(reference.astype(np.float64) - answer)
        self.not_finite += int((~np.isfinite(answer)).sum() + (~np.isfinite(reference)).sum())
        self.mean_abs_error = (self.mean_abs_error * self.windows + float(error.mean())) / (self.windows + 1)
        self.windows += 1
        self.pixels += error[0].size
        self.max_abs_error = max(self.max_abs_error, float(error.max()))
        self.logit_min = min(self.logit_min, float(reference.min()))
        self.logit_max = max(self.logit_max, float(reference.max()))
        if contract.answer.decided:
            task = answer_of(contract)
            flips = task.window(reference) != task.window(answer)
            self.labels += flips.size
            self.flipped += int(flips.sum())
            if flips.any():
                self.max_flip_margin = max(self.max_flip_margin, float(task.margins(reference)[flips].max()))

    @property
    def logit_range(self) -> float:
        """Largest minus smallest reference logit."""
        return self.logit_max - self.logit_min

    @property
    def relative_error(self) -> float:
        """Largest error as a share of the reference logits' range."""
        return self.max_abs_error / self.logit_range if self.logit_range > 0 else math.inf

    @property
    def flipped_per_million(self) -> float:
        """Pixels with another label, per million."""
        return 1e6 * self.flipped / max(1, self.labels)

    @property
    def label_agreement(self) -> float:
        """Share of pixels with the same label."""
        return 1 - self.flipped / max(1, self.labels)

    def failures(self, limits: Limits) -> list[str]:
        """What does not hold, in words; empty when parity holds."""
        found = []
        if not self.windows:
            found.append("no window was compared")
        if self.not_finite:
            found.append(f"{self.not_finite} logits are NaN or infinite")
        if self.windows and self.logit_range == 0:
            found.append("the reference answers the same everywhere, so that nothing can be proven")
        elif not self.relative_error <= limits.error_of_range:
            found.append(f"error {self.relative_error:.2e} of the logits' range, limit {limits.error_of_range:.0e}")
        allowed = limits.flip_margin_errors * self.max_abs_error
        if self.flipped and not self.max_flip_margin <= allowed:
            found.append(f"a label flipped at a margin of {self.max_flip_margin:.2e}, limit {allowed:.2e}")
        return found

    def as_dict(self, limits: Limits) -> dict[str, Any]:
        """All figures, for the report and the contract; JSON has no NaN, so those become None."""
        figures = {
            **asdict(self),
            "logit_range": self.logit_range,
            "relative_error": self.relative_error,
            "label_agreement": self.label_agreement,
            "flipped_per_million": self.flipped_per_million,
            "limits": asdict(limits),
            "holds": not self.failures(limits),
        }
        told = {k: v for k, v in figures.items() if self.labels or k not in OF_LABELS}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in told.items()}

    def table(self, limits: Limits, form: str, reference: str = "torch") -> str:
        """The figures for a person."""
        flips = [
            ("label agreement", f"{self.label_agreement:.8f}"),
            ("flipped px per million", f"{self.flipped_per_million:.3f}"),
            ("largest margin at a flip", f"{self.max_flip_margin:.3e}  (limit {limits.flip_margin_errors * self.max_abs_error:.3e})"),
        ]  # fmt: skip
        rows = [
            ("windows compared", f"{self.windows} ({self.pixels} px)"),
            ("logits' range", f"{self.logit_min:.3f} to {self.logit_max:.3f}"),
            ("largest error", f"{self.max_abs_error:.3e}"),
            ("of the range", f"{self.relative_error:.3e}  (limit {limits.error_of_range:.0e})"),
            ("mean error", f"{self.mean_abs_error:.3e}"),
            *(flips if self.labels else []),
            ("parity", "; ".join(self.failures(limits)) or "holds"),
        ]  # fmt: skip
        width = max(len(name) for name, _ in rows)
        return "\n".join(
            [f"parity of {form} with {reference}", *(f"  {name:<{width}}  {value}" for name, value in rows)]
        )


def compare(
    reference: Infer,
    answer: Infer,
    samples: Iterable[Float],
    contract: Contract,
    watch: Callable[[int], None] = lambda n: None,
) -> Parity:
    """Run both on each window `(1, C, *input_shape)` and compare."""
    result = Parity()
    for window in samples:
        result.add(reference(window)[0], answer(window)[0], contract)
        watch(result.windows)
    return result


def require(result: Parity, limits: Limits, form: str, reference: str = "torch") -> None:
    """Raise unless parity holds.

    Raises:
        ParityError: with every limit that was passed.
    """
    if found := result.failures(limits):
        raise ParityError(
            f"{form} does not agree with {reference} ({'; '.join(found)})",
            "parity",
            "nothing was written; report this model",
        )


def generated_images(contract: Contract, count: int, seed: int = 0, most: int | None = None) -> Iterator[Array]:
    """Made-up fields of blobs on a shaded, noisy ground, `(*spatial, C)` uint8, for a parity check without real images.

    Args:
        contract: of the model; an image fills its output window.
        count: of images.
        seed: of their random numbers.
        most: px of a side, where the window is larger.
    """
    rng = np.random.default_rng(seed)
    shape = tuple(min(n, most or n) for n in contract.geometry.output_shape)
    places = np.mgrid[tuple(slice(n) for n in shape)].astype(np.float32)
    slopes = (20, 40, 30)[-len(shape) :]
    for _ in range(count):
        field = np.full(shape, 60, np.float32)
        for slope, place, n in zip(slopes, places, shape, strict=True):
            field += slope * rng.random() * place / n
        for _ in range(max(3, math.prod(shape) // 5000)):  # 30 in 388 x 388 px; more would cover a small window
            centre, radius = [rng.random() * n for n in shape], 6 + 24 * rng.random()
            near = tuple(slice(max(0, int(c - 3 * radius)), int(c + 3 * radius) + 1) for c in centre)  # e^-81 beyond
            square = sum((place[near] - c) ** 2 for place, c in zip(places, centre, strict=True))
            field[near] += (60 + 80 * rng.random()) * np.exp(-((square / radius**2) ** 2))
        noisy = field[..., None] * rng.uniform(0.7, 1, contract.input.channels) + rng.normal(
            0, 8, (*shape, contract.input.channels)
        )
        yield noisy.clip(0, 255).astype(np.uint8)


def generated_windows(contract: Contract, count: int) -> Iterator[Float]:
    """Windows of `generated_images`."""
    for image in generated_images(contract, count):
        yield from some_windows(image, contract, 1)


def enough(count: int, least: int, contract: Contract) -> int:
    """How many windows hold as many px as `count` of the paper's: a larger one takes torch many times as long.

    Args:
        count: wanted at 388 px of output, and at less.
        least: in any case.
        contract: of the model.
    """
    share = PAPER_OUTPUT**2 / np.prod(contract.geometry.output_shape)
    return max(least, min(count, math.ceil(count * share)))


def evenly(total: int, count: int) -> list[int]:
    """At most `count` of the indices below `total`, evenly spaced, the first and the last among them."""
    count = min(count, total)
    return [round(i * (total - 1) / max(1, count - 1)) for i in range(count)]


def some_windows(image: Array, contract: Contract, count: int) -> Iterator[Float]:
    """At most `count` windows `(1, C, *input_shape)` of an image `(*spatial, C)`, evenly spaced."""
    framed = frame(image, contract)
    grid = Grid.of(framed.shape[:-1], contract.geometry)
    chosen = set(evenly(len(grid.origins()), count))
    yield from (w for place, w in enumerate(grid.windows(framed, contract.input.intensity)) if place in chosen)
