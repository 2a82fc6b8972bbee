"""Which images a model was made for, and what the model is called: parts of the contract that IT departments rely on."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .nested import need

Range = tuple[float, float]
"""Smallest and largest value."""
_RELEASE = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True)
class GreyRange:
    """Where the grey values of most training images lie, see `pipeline.GreyValues`.

    Attributes:
        high: bright values as a fraction of the dtype's maximum.
        middle: position of the median between dark and bright values, 0 to 1.
    """

    high: Range
    middle: Range

    def __post_init__(self) -> None:
        """Check the ranges."""
        _check_range(self.high, "high grey values")
        _check_range(self.middle, "middle grey values")


@dataclass(frozen=True)
class Policy:
    """The images that a model was made for. Training learns it, and the export can change it.

    An image outside `modalities`, `sop_classes`, `orientations`, `unit` or `spacing_mm` is refused; one outside the
    other ranges gets a warning. An empty field allows everything, and a fact that a file does not state is not compared.

    Attributes:
        modalities: DICOM modalities, such as `CT`.
        sop_classes: UIDs of DICOM SOP classes.
        orientations: orientations of slices: `axial`, `coronal`, `sagittal` or `oblique`.
        unit: unit of the grey values, such as `HU`; an image with values in another unit, or without one, is refused.
        spacing_mm: allowed pixel spacing for each axis of the window.
        trained_spacing_mm: pixel spacing of the training images for each axis.
        grey_values: grey values of the training images.
    """

    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    orientations: tuple[str, ...] = ()
    unit: str = ""
    spacing_mm: tuple[Range, ...] = ()
    trained_spacing_mm: tuple[Range, ...] = ()
    grey_values: GreyRange | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        known = ("axial", "coronal", "sagittal", "oblique")
        odd = [name for name in self.orientations if name not in known]
        need(not odd, f"orientations {odd} in the policy", " or ".join(known))
        for name, ranges in (("spacing_mm", self.spacing_mm), ("trained_spacing_mm", self.trained_spacing_mm)):
            for span in ranges:
                _check_range(span, f"{name} in the policy")
                need(span[0] > 0, f"{name} {span} in the policy", "positive numbers of mm")


@dataclass(frozen=True)
class Identity:
    """What a model is called, set at export.

    Attributes:
        name: name of the model, such as `liver-ct`; empty if it has none.
        version: its version: numbers with dots, such as `1.2.0`; empty if it has none.
    """

    name: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        """Check the version."""
        fits = not self.version or (_RELEASE.fullmatch(self.version) and len(self.version) <= 64)
        need(bool(fits), f"model version {self.version[:80]!r}", "numbers with dots, such as 1.2.0")
        need(self.name.isprintable() and len(self.name) <= 64, "the model's name", "at most 64 printable characters")

    @property
    def release(self) -> tuple[int, ...]:
        """The version as numbers, which compare as versions do: (1, 10) is above (1, 9), and 1.2.0 is (1, 2) like 1.2."""
        numbers = [int(part) for part in self.version.split(".")] if self.version else []
        while numbers and not numbers[-1]:
            numbers.pop()
        return tuple(numbers)


def _check_range(span: Range, what: str) -> None:
    low, high = span
    need(
        math.isfinite(low) and math.isfinite(high) and low <= high, f"{what} {span}", "a smallest and a largest number"
    )
