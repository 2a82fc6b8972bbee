"""Parity: how far a form of the model is from the torch model, in logits and, where there are labels, in what a user sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from seg_runtime import Contract, Float, ParityError
from seg_runtime.answers import answer_of
from seg_runtime.model import FLIP_MARGIN_ERRORS, FP32_LIMIT
from seg_runtime.support import table

OF_LABELS = ("labels", "flipped", "max_flip_margin", "label_agreement", "flipped_per_million")  # figures
BRIEF = ("windows", "max_abs_error", "flipped")  # figures


@dataclass(frozen=True)
class Limits:
    """What a form of the model may differ by."""

    error_of_range: float = FP32_LIMIT
    """Largest logit error, as a share of the reference logits' range."""
    flip_margin_errors: float = FLIP_MARGIN_ERRORS
    """A label may flip only where the reference was undecided by at most so many times the largest error."""


LIMITS = Limits()
"""Of every export."""


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
            decided = answer_of(contract)
            flips = decided.window(reference) != decided.window(answer)
            self.labels += flips.size
            self.flipped += int(flips.sum())
            if flips.any():
                self.max_flip_margin = max(self.max_flip_margin, float(decided.margins(reference)[flips].max()))

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

    def failures(self, limits: Limits = LIMITS) -> list[str]:
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

    def as_dict(self, limits: Limits = LIMITS) -> dict[str, Any]:
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
        kept = {k: v for k, v in figures.items() if self.labels or k not in OF_LABELS}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in kept.items()}

    def require(
        self, form: str, reference: str = "torch", fix: str = "report this model", limits: Limits = LIMITS
    ) -> None:
        """Raise unless parity holds.

        Raises:
            ParityError: with every limit that was passed.
        """
        if found := self.failures(limits):
            problem = f"{form} does not agree with {reference} ({'; '.join(found)})"
            raise ParityError(problem, "parity", f"nothing was written; {fix}")

    def brief(self, limits: Limits = LIMITS) -> dict[str, Any]:
        """The figures that the contract keeps of a form that was compared with another one."""
        return {k: v for k, v in self.as_dict(limits).items() if k in BRIEF}

    def table(self, form: str, reference: str = "torch", limits: Limits = LIMITS) -> str:
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
        return table(rows, f"parity of {form} with {reference}")


def compare(
    reference: Iterable[Float],
    answers: Iterable[Float],
    contract: Contract,
    watch: Callable[[int], None] = lambda n: None,
) -> Parity:
    """Compare the logits `(K, *output_shape)` of one window after the other.

    Args:
        reference: right answers.
        answers: of the form that is judged, to the same windows.
        contract: of both.
        watch: called with the number of windows compared.
    """
    result = Parity()
    for wanted, given in zip(reference, answers, strict=True):
        result.add(wanted, given, contract)
        watch(result.windows)
    return result
