"""Parity: the difference between a form of the model and the PyTorch model, in logits and labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from seg_runtime import Contract, Float, ParityError
from seg_runtime.answers import answer_of, unmatched
from seg_runtime.model import FLIP_MARGIN_ERRORS, FP32_LIMIT
from seg_runtime.support import table

OF_LABELS = ("labels", "flipped", "max_flip_margin", "label_agreement", "flipped_per_million")  # figures of labels
OF_OBJECTS = ("objects", "unmatched")  # figures of objects
BRIEF = ("windows", "max_abs_error", "flipped")  # figures of `Parity.brief`


@dataclass(frozen=True)
class Limits:
    """Largest allowed differences of a form of the model."""

    error_of_range: float = FP32_LIMIT
    """Largest logit error, as a fraction of the range of the reference logits."""
    flip_margin_errors: float = FLIP_MARGIN_ERRORS
    """A label may flip only where the margin of the reference is at most this many times the largest error."""


LIMITS = Limits()
"""Limits of every export."""


@dataclass
class Parity:
    """Agreement of a form with the reference, usually the PyTorch model, over all windows."""

    windows: int = 0
    pixels: int = 0
    max_abs_error: float = 0.0
    mean_abs_error: float = 0.0
    logit_min: float = math.inf
    logit_max: float = -math.inf
    labels: int = 0
    """Number of pixels whose labels were compared; 0 for a regression, whose values are proportional to the logits."""
    flipped: int = 0
    max_flip_margin: float = 0.0
    """Largest difference between the two highest reference logits at a pixel whose label flipped."""
    not_finite: int = 0
    objects: int = 0
    """Number of objects of the reference; 0 if the model predicts none."""
    unmatched: int = 0
    """Number of objects of either side without a partner on the other."""

    def add(self, reference: Float, answer: Float, contract: Contract) -> None:
        """Compare one window of logits, both `(K, h, w)` float32."""
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
            flips = decided.decision(reference) != decided.decision(answer)
            self.labels += flips.size
            self.flipped += int(flips.sum())
            if flips.any():
                self.max_flip_margin = max(self.max_flip_margin, float(decided.margins(reference)[flips].max()))
            if contract.answer.separated:
                wanted, given = (
                    decided.part(decided.whole(decided.window(part)), "objects") for part in (reference, answer)
                )
                assert wanted is not None
                assert given is not None
                self.objects += int(wanted.max(initial=0))
                self.unmatched += unmatched(wanted, given)

    @property
    def logit_range(self) -> float:
        """Difference between the largest and the smallest reference logit."""
        return self.logit_max - self.logit_min

    @property
    def relative_error(self) -> float:
        """Largest error as a fraction of the range of the reference logits."""
        return self.max_abs_error / self.logit_range if self.logit_range > 0 else math.inf

    @property
    def flipped_per_million(self) -> float:
        """Number of pixels with another label, per million."""
        return 1e6 * self.flipped / max(1, self.labels)

    @property
    def label_agreement(self) -> float:
        """Fraction of pixels with the same label."""
        return 1 - self.flipped / max(1, self.labels)

    def failures(self, limits: Limits = LIMITS) -> list[str]:
        """Describe the exceeded limits; empty if parity holds."""
        found = []
        if not self.windows:
            found.append("no window was compared")
        if self.not_finite:
            found.append(f"{self.not_finite} logits are NaN or infinite")
        if self.windows and self.logit_range == 0:
            found.append("the reference logits are the same everywhere, so nothing can be proven")
        elif not self.relative_error <= limits.error_of_range:
            found.append(
                f"the error is {self.relative_error:.2e} of the logits' range, limit {limits.error_of_range:.0e}"
            )
        allowed = limits.flip_margin_errors * self.max_abs_error
        if self.flipped and not self.max_flip_margin <= allowed:
            found.append(f"a label flipped at a margin of {self.max_flip_margin:.2e}, limit {allowed:.2e}")
        if self.unmatched and not self.flipped:
            found.append(f"{self.unmatched} objects have no partner although every pixel is the same")
        return found

    def as_dict(self, limits: Limits = LIMITS) -> dict[str, Any]:
        """All figures for the report and the contract. NaN becomes None, because JSON has no NaN."""
        figures = {
            **asdict(self),
            "logit_range": self.logit_range,
            "relative_error": self.relative_error,
            "label_agreement": self.label_agreement,
            "flipped_per_million": self.flipped_per_million,
            "limits": asdict(limits),
            "holds": not self.failures(limits),
        }
        kept = {
            k: v
            for k, v in figures.items()
            if (self.labels or k not in OF_LABELS) and (self.objects or k not in OF_OBJECTS)
        }
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in kept.items()}

    def require(
        self, form: str, reference: str = "torch", advice: str = "report this model", limits: Limits = LIMITS
    ) -> None:
        """Check that parity holds.

        Raises:
            ParityError: if it does not; the message lists all exceeded limits.
        """
        if found := self.failures(limits):
            problem = f"{form} does not agree with {reference} ({'; '.join(found)})"
            raise ParityError(problem, "", f"nothing was written; {advice}")

    def brief(self, limits: Limits = LIMITS) -> dict[str, Any]:
        """The figures of a comparison that are stored in the contract."""
        return {k: v for k, v in self.as_dict(limits).items() if k in BRIEF}

    def table(self, form: str, reference: str = "torch", limits: Limits = LIMITS) -> str:
        """Format the figures for the user."""
        flips = [
            ("label agreement", f"{self.label_agreement:.8f}"),
            ("flipped px per million", f"{self.flipped_per_million:.3f}"),
            ("largest margin at a flip", f"{self.max_flip_margin:.3e}  (limit {limits.flip_margin_errors * self.max_abs_error:.3e})"),
        ]  # fmt: skip
        rows = [
            ("windows compared", f"{self.windows} ({self.pixels} px)"),
            ("range of the logits", f"{self.logit_min:.3f} to {self.logit_max:.3f}"),
            ("largest error", f"{self.max_abs_error:.3e}"),
            ("as share of the range", f"{self.relative_error:.3e}  (limit {limits.error_of_range:.0e})"),
            ("mean error", f"{self.mean_abs_error:.3e}"),
            *(flips if self.labels else []),
            *([("objects without a partner", f"{self.unmatched} (the reference has {self.objects} objects)")] if self.objects else []),
            ("parity", "; ".join(self.failures(limits)) or "holds"),
        ]  # fmt: skip
        return table(rows, f"parity of {form} with {reference}")


def compare(
    reference: Iterable[Float],
    answers: Iterable[Float],
    contract: Contract,
    watch: Callable[[int], None] = lambda n: None,
) -> Parity:
    """Compare the logits `(K, *output_shape)` of windows.

    Args:
        reference: reference logits.
        answers: logits of the tested form for the same windows.
        contract: contract of both.
        watch: called with the number of windows compared.
    """
    result = Parity()
    for wanted, given in zip(reference, answers, strict=True):
        result.add(wanted, given, contract)
        watch(result.windows)
    return result
