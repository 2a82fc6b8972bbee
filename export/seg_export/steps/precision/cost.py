"""What a precision costs in labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.support import ParityError, table
from seg_toolkit.evaluation import Confusion, confusion, dice, iou, over_images

GOAL = 0.3  # points of Dice
LIMIT = 1.0  # points of Dice from which nothing is written
SPECK = 1e-3  # share of an image
BLANK = 0.01  # share of an image's pixels outside the commonest label, above which one label only is a blank


@dataclass
class Cost:
    """Labels of a form beside those of fp32.

    Scores are means over images, as seg-train's are: in sums over all pixels a single image that fp32 fails on may hide what
    happens to all others. A class counts in the images that anybody finds it in. What decides is Dice with `SPECK` added
    to both sides, since a single stray pixel would make a Dice of 0 where nobody else finds the class.
    """

    classes: int
    images: int = 0
    not_finite: int = 0
    blank: int = 0
    """Images where the form finds one class and fp32 several."""
    counts: Confusion = field(init=False)
    """`(K, K)` of all pixels: rows are fp32's labels, columns the form's."""
    each: list[Confusion] = field(default_factory=list)
    """The same of each image."""
    truth: list[tuple[Confusion, Confusion]] = field(default_factory=list)
    """Of each image with a mask: fp32's counts and the form's, rows are true classes."""

    def __post_init__(self) -> None:
        """Start at zero."""
        self.counts = np.zeros((self.classes, self.classes), np.int64)

    def add(
        self, reference: NDArray[np.uint8], answer: NDArray[np.uint8], truth: NDArray[np.uint8] | None = None
    ) -> None:
        """Count one image or window: labels of equal shape."""
        self.images += 1
        counts = confusion(reference, answer, self.classes)
        self.counts += counts
        self.each.append(counts)
        others = 1 - counts.sum(axis=1).max() / counts.sum()
        self.blank += int((counts.sum(axis=0) > 0).sum() == 1 and others > BLANK)
        if truth is not None:
            self.truth.append((confusion(truth, reference, self.classes), confusion(truth, answer, self.classes)))

    @property
    def drop(self) -> float:
        """Points of Dice lost against fp32: 100 less the mean over classes of the Dice of both forms' labels."""
        scores = [np.where(_held(counts), _smooth(counts), np.nan) for counts in self.each]
        return 100 * (1 - float(np.nanmean(over_images(scores))))

    @property
    def truth_drop(self) -> float | None:
        """Points of Dice, mean over classes, that fp32 reaches on the masks and the form does not; None without masks."""
        if not self.truth:
            return None
        losses = [
            np.where(_held(fp32) | _held(form), _smooth(fp32) - _smooth(form), np.nan) for fp32, form in self.truth
        ]
        return 100 * float(np.nanmean(over_images(losses)))

    @property
    def off(self) -> float:
        """Points of Dice that lie between the forms, whichever is better: a gain is luck, and may be a loss elsewhere."""
        return self.drop if self.truth_drop is None else abs(self.truth_drop)

    @property
    def deciding(self) -> float:
        """The drop that decides: against the masks where there are any, else against fp32's labels."""
        return self.drop if self.truth_drop is None else self.truth_drop

    def failures(self) -> list[str]:
        """What forbids to write the file, in words."""
        found = []
        if self.not_finite:
            found.append(f"{self.not_finite} logits are NaN or infinite")
        if self.blank:
            found.append(f"{self.blank} of {self.images} images are blank where fp32 finds several classes")
        if (self.counts.sum(axis=1) > 0).sum() < 2:
            found.append("fp32 finds one class only on these images, so that nothing can be proven")
        elif not self.deciding <= LIMIT:
            found.append(f"a drop of {self.deciding:.2f} points of Dice, limit {LIMIT:.2f}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """All figures for JSON."""
        figures: dict[str, Any] = {
            "images": self.images,
            "pixels": int(self.counts.sum()),
            "label_agreement": float(np.trace(self.counts) / max(1, self.counts.sum())),
            "not_finite": self.not_finite,
            "blank": self.blank,
            "drop": self.deciding,
            "decided_by": "masks" if self.truth else "fp32",
            "limits": {"drop": LIMIT, "goal": GOAL},
        }
        against = {**_scores(self.each), "drop": self.drop}
        figures["against_fp32"] = against
        if self.truth:
            for name, counts in zip(("fp32", "form"), zip(*self.truth, strict=True), strict=True):
                figures[f"{name}_against_masks"] = _scores(counts)
        return figures

    def table(self, form: str, names: Sequence[str], more: Sequence[tuple[str, str]] = ()) -> str:
        """The figures for a person, and `more` of them below."""
        rows = [("images", f"{self.images} ({self.counts.sum()} px)")]
        pairs: list[tuple[str, Sequence[Confusion]]] = [("against fp32", self.each)]
        if self.truth:
            both = zip(*self.truth, strict=True)
            pairs += zip(("fp32 against masks", f"{form} against masks"), both, strict=True)
        for what, counts in pairs:
            scores = zip(names, _mean(dice, counts), _mean(iou, counts), strict=True)
            rows += [(what, f"{name}: Dice {d:.4f}, IoU {i:.4f}") for name, d, i in scores if not math.isnan(d)]
        rows.append(("px of another label", f"{1e6 * (1 - np.trace(self.counts) / self.counts.sum()):.0f} per million"))
        rows.append(("drop against fp32", f"{self.drop:.3f} points of Dice"))
        if self.truth_drop is not None:
            rows.append(("drop against masks", f"{self.truth_drop:.3f} points of Dice"))
        met = "reached" if self.deciding <= GOAL else "missed"
        rows.append(("goal", f"{GOAL:.1f} {met} (limit {LIMIT:.1f}), by {'the masks' if self.truth else 'fp32'}"))
        return table([*rows, *more], f"{form} beside fp32")

    def require(self, form: str) -> None:
        """Raise where the precision costs too much.

        Raises:
            ParityError: with every limit that was passed.
        """
        if found := self.failures():
            fix = "nothing was written; calibrate on more and other images, or export fp32"
            raise ParityError(f"{form} does not answer as fp32 does ({'; '.join(found)})", "the same masks", fix)


def _held(counts: Confusion) -> NDArray[np.bool_]:
    """Classes that either side finds."""
    found: NDArray[np.bool_] = counts.sum(axis=0) + counts.sum(axis=1) > 0
    return found


def _smooth(counts: Confusion) -> NDArray[np.float64]:
    """Dice of each class, with a speck that both sides find; 1 where neither finds more."""
    speck = SPECK * counts.sum()
    return np.asarray((2 * np.diag(counts) + speck) / (counts.sum(axis=0) + counts.sum(axis=1) + speck))


def _mean(score: Callable[[Confusion], NDArray[np.float64]], each: Sequence[Confusion]) -> NDArray[np.float64]:
    """Of each class, over images."""
    return over_images([score(counts) for counts in each])


def _scores(each: Sequence[Confusion]) -> dict[str, list[float | None]]:
    return {"dice": _json(_mean(dice, each)), "iou": _json(_mean(iou, each))}


def _json(scores: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(s) else float(s) for s in scores]
