"""The effect of a precision on labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.answers import unmatched
from seg_runtime.support import ParityError, table
from seg_toolkit.evaluation import Confusion, confusion, dice, iou, over_images

GOAL = 0.3  # acceptable drop in Dice points
LIMIT = 1.0  # largest drop in Dice points; above, nothing is written
SPECK = 1e-3  # fraction of an image
OBJECTS = 5.0  # largest percentage of objects that only one of both forms finds
FEW = 2  # as many may have no partner in any case: one object that is divided otherwise
BLANK = 0.01  # a result with one label is blank if fp32 has more than this fraction outside its most common label


@dataclass
class Cost:
    """Comparison of the labels of a form with those of fp32.

    Scores are means over images, as in seg-train, because in sums over all pixels one image on which fp32 fails could hide
    the effect on all others. A class counts in images where either form finds it. The decision uses Dice with `SPECK` added
    to numerator and denominator, because a single wrong pixel would give a Dice of 0 where the other form finds no class.
    """

    classes: int
    images: int = 0
    not_finite: int = 0
    blank: int = 0
    """Number of images where the form finds one class and fp32 several."""
    counts: Confusion = field(init=False)
    """`(K, K)` counts of all pixels: rows are labels of fp32, columns labels of the form."""
    each: list[Confusion] = field(default_factory=list)
    """The same counts for each image."""
    truth: list[tuple[Confusion, Confusion]] = field(default_factory=list)
    """Counts of fp32 and of the form for each image with a mask; rows are true classes."""

    objects: int = 0
    """Number of objects of both forms."""
    unmatched: int = 0
    """Number of those without a partner."""

    def __post_init__(self) -> None:
        """Set all counts to zero."""
        self.counts = np.zeros((self.classes, self.classes), np.int64)

    def add(
        self, reference: NDArray[np.uint8], answer: NDArray[np.uint8], truth: NDArray[np.uint8] | None = None
    ) -> None:
        """Add one image or window, as labels of equal shape."""
        self.images += 1
        counts = confusion(reference, answer, self.classes)
        self.counts += counts
        self.each.append(counts)
        others = 1 - counts.sum(axis=1).max() / counts.sum()
        self.blank += int((counts.sum(axis=0) > 0).sum() == 1 and others > BLANK)
        if truth is not None:
            self.truth.append((confusion(truth, reference, self.classes), confusion(truth, answer, self.classes)))

    def add_objects(self, reference: NDArray[np.int32], answer: NDArray[np.int32]) -> None:
        """Compare the objects of one image, ids `(*spatial)` of equal shape."""
        self.objects += int(reference.max(initial=0)) + int(answer.max(initial=0))
        self.unmatched += unmatched(reference, answer)

    @property
    def unmatched_percent(self) -> float:
        """Percentage of the objects of both forms without a partner."""
        return 100 * self.unmatched / max(1, self.objects)

    @property
    def drop(self) -> float:
        """Drop against fp32 in Dice points: 100 minus the mean over classes of the Dice between both forms."""
        scores = [np.where(_held(counts), _smooth(counts), np.nan) for counts in self.each]
        return 100 * (1 - float(np.nanmean(over_images(scores))))

    @property
    def truth_drop(self) -> float | None:
        """Drop against the masks: Dice points of fp32 minus those of the form, mean over classes; None without masks."""
        if not self.truth:
            return None
        losses = [
            np.where(_held(fp32) | _held(form), _smooth(fp32) - _smooth(form), np.nan) for fp32, form in self.truth
        ]
        return 100 * float(np.nanmean(over_images(losses)))

    @property
    def off(self) -> float:
        """Difference in Dice points, whichever form is better, because a gain is luck and may be a loss on other images.

        Objects count as if half of what is allowed of them without a partner were the goal of Dice.
        """
        dice_points = self.drop if self.truth_drop is None else abs(self.truth_drop)
        return max(dice_points, GOAL * self.unmatched_percent / (OBJECTS / 2))

    @property
    def deciding(self) -> float:
        """The drop that decides: against the masks if there are any, else against the labels of fp32."""
        return self.drop if self.truth_drop is None else self.truth_drop

    def failures(self) -> list[str]:
        """Describe the reasons not to write the file."""
        found = []
        if self.not_finite:
            found.append(f"{self.not_finite} logits are NaN or infinite")
        if self.blank:
            found.append(f"{self.blank} of {self.images} images are blank where fp32 finds several classes")
        if (self.counts.sum(axis=1) > 0).sum() < 2:
            found.append("fp32 finds only one class on these images, so nothing can be proven")
        elif not self.deciding <= LIMIT:
            found.append(f"the drop is {self.deciding:.2f} Dice points, limit {LIMIT:.2f}")
        if self.unmatched > FEW and self.unmatched_percent > OBJECTS:
            found.append(f"{self.unmatched_percent:.1f} % of the objects have no partner, limit {OBJECTS:.0f} %")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return all figures for JSON."""
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
        if self.objects:
            figures |= {"objects": self.objects, "objects_unmatched": self.unmatched}
        against = {**_scores(self.each), "drop": self.drop}
        figures["against_fp32"] = against
        if self.truth:
            for name, counts in zip(("fp32", "form"), zip(*self.truth, strict=True), strict=True):
                figures[f"{name}_against_masks"] = _scores(counts)
        return figures

    def table(self, form: str, names: Sequence[str], more: Sequence[tuple[str, str]] = ()) -> str:
        """Format the figures for the user, followed by `more`."""
        rows = [("images", f"{self.images} ({self.counts.sum()} px)")]
        pairs: list[tuple[str, Sequence[Confusion]]] = [("against fp32", self.each)]
        if self.truth:
            both = zip(*self.truth, strict=True)
            pairs += zip(("fp32 against masks", f"{form} against masks"), both, strict=True)
        for what, counts in pairs:
            scores = zip(names, _mean(dice, counts), _mean(iou, counts), strict=True)
            rows += [(what, f"{name}: Dice {d:.4f}, IoU {i:.4f}") for name, d, i in scores if not math.isnan(d)]
        rows.append(
            ("px with another label", f"{1e6 * (1 - np.trace(self.counts) / self.counts.sum()):.0f} per million")
        )
        rows.append(("drop against fp32", f"{self.drop:.3f} Dice points"))
        if self.truth_drop is not None:
            rows.append(("drop against masks", f"{self.truth_drop:.3f} Dice points"))
        if self.objects:
            share = (
                f"{self.unmatched} of {self.objects} in both ({self.unmatched_percent:.2f} %, limit {OBJECTS:.0f} %)"
            )
            rows.append(("objects without a partner", share))
        met = "reached" if self.deciding <= GOAL else "missed"
        rows.append(("goal", f"{GOAL:.1f} {met} (limit {LIMIT:.1f}), by {'the masks' if self.truth else 'fp32'}"))
        return table([*rows, *more], f"{form} compared with fp32")

    def require(self, form: str) -> None:
        """Check the limits.

        Raises:
            ParityError: if a limit is exceeded; the message lists all of them.
        """
        if found := self.failures():
            advice = "nothing was written; calibrate on more or other images, or export fp32"
            raise ParityError(f"{form} does not give the same masks as fp32 ({'; '.join(found)})", "", advice)


def _held(counts: Confusion) -> NDArray[np.bool_]:
    """Classes that either form finds."""
    found: NDArray[np.bool_] = counts.sum(axis=0) + counts.sum(axis=1) > 0
    return found


def _smooth(counts: Confusion) -> NDArray[np.float64]:
    """Dice of each class, with a speck added to both forms; 1 if neither finds the class."""
    speck = SPECK * counts.sum()
    return np.asarray((2 * np.diag(counts) + speck) / (counts.sum(axis=0) + counts.sum(axis=1) + speck))


def _mean(score: Callable[[Confusion], NDArray[np.float64]], each: Sequence[Confusion]) -> NDArray[np.float64]:
    """Mean over images, per class."""
    return over_images([score(counts) for counts in each])


def _scores(each: Sequence[Confusion]) -> dict[str, list[float | None]]:
    return {"dice": _json(_mean(dice, each)), "iou": _json(_mean(iou, each))}


def _json(scores: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(s) else float(s) for s in scores]
