"""Which images a model was made for, and what the model is called: parts of the contract that IT departments rely on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..support import described_length
from .nested import need

Range = tuple[float, float]
"""Smallest and largest value."""
ORIENTATIONS = ("axial", "coronal", "sagittal", "oblique")
_ALLOWED = 2.0  # factor by which the spacing may differ from that of the training images, unless the export says more
_LIKE = 1.1  # factor by which it may differ without a warning
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_FAMILIES = {  # SOP classes whose images differ only in how files hold them: one slice, or all (PS3.4, B.5)
    _STORAGE + end: tuple(_STORAGE + other for other in family)
    for family in (("2", "2.1", "2.2"), ("4", "4.1", "4.4"), ("128", "130", "128.1"))
    for end in family
}
_RELEASE = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True)
class Acquisition:
    """How an image was acquired, as far as its file states it.

    Attributes:
        modality: DICOM modality, such as `CT`; empty if unknown.
        sop_class: UID of the DICOM SOP class; empty if unknown.
        orientation: orientation of a slice, one of `ORIENTATIONS`; empty if unknown or for a volume.
        unit: unit of the grey values, such as `HU`; empty if unknown or arbitrary.
        spacing_mm: distance between pixels along each spatial axis of the array; empty if unknown.
        spacing_doubt: why the spacing that the file states is no measurement; empty if it states a measurement or none.
    """

    modality: str = ""
    sop_class: str = ""
    orientation: str = ""
    unit: str = ""
    spacing_mm: tuple[float, ...] = ()
    spacing_doubt: str = ""


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
        odd = [name for name in self.orientations if name not in ORIENTATIONS]
        need(not odd, f"orientations {odd} in the policy", " or ".join(ORIENTATIONS))
        for name, ranges in (("spacing_mm", self.spacing_mm), ("trained_spacing_mm", self.trained_spacing_mm)):
            for span in ranges:
                _check_range(span, f"{name} in the policy")
                need(span[0] > 0, f"{name} {span} in the policy", "positive numbers of mm")

    @classmethod
    def learnt(cls, images: Sequence[Acquisition], grey_values: GreyRange | None, axes: int) -> Policy:
        """Return the policy for images like those of a training.

        Args:
            images: how each training image was acquired.
            grey_values: their grey values.
            axes: number of axes of a window, the last ones of each image.
        """
        units = {image.unit for image in images}
        spacings = [image.spacing_mm[-axes:] for image in images if len(image.spacing_mm) >= axes]
        spans = tuple((min(sides), max(sides)) for sides in zip(*spacings, strict=True))
        return cls(
            modalities=_listed(image.modality for image in images),
            sop_classes=_listed(uid for image in images for uid in _FAMILIES.get(image.sop_class, (image.sop_class,))),
            orientations=_listed(image.orientation for image in images),
            unit=units.pop() if len(units) == 1 else "",
            spacing_mm=tuple((low / _ALLOWED, high * _ALLOWED) for low, high in spans),
            trained_spacing_mm=spans,
            grey_values=grey_values,
        )

    def refusals(self, image: Acquisition, integer: bool) -> list[str]:
        """Return what excludes an image, as phrases like "modality MR instead of CT"; empty if the model was made for it.

        Args:
            image: how it was acquired.
            integer: whether its grey values are unsigned integers, which are not in physical units.
        """
        stated = (
            ("modality", image.modality, self.modalities),
            ("SOP class", image.sop_class, self.sop_classes),
            ("orientation", image.orientation, self.orientations),
        )
        odd = {what: f"{what} {here} instead of {' or '.join(allowed)}" for what, here, allowed in stated
               if here and allowed and here not in allowed}  # fmt: skip
        if "modality" in odd:  # which says it all
            odd.pop("SOP class", None)
        found = list(odd.values())
        if self.unit and image.unit != self.unit and (image.unit or image.modality or integer):
            found.append(f"grey values {f'in {image.unit}' if image.unit else 'without a unit'} instead of {self.unit}")
        if spacing := _outside(image, self.spacing_mm, 1.001):  # a file rounds its spacing
            found.append(f"a pixel spacing of {spacing}")
        return found

    def warnings(self, image: Acquisition) -> list[str]:
        """Return how an allowed image differs from the training images, as phrases like those of `refusals`."""
        found = []
        if odd := _outside(image, self.trained_spacing_mm, _LIKE):
            found.append(f"a pixel spacing of {odd} of the training images")
        if lacks := self.trained_spacing_mm[: len(self.trained_spacing_mm) - len(image.spacing_mm)]:
            what = "distance of slices" if image.spacing_mm else "pixel size"
            why = f" ({image.spacing_doubt})" if image.spacing_doubt else ""
            spans = " and ".join(_span(*span) for span in dict.fromkeys(lacks))
            found.append(f"no stated {what}{why}, while that of the training images is {spans}")
        if self.modalities and not image.modality:
            found.append(f"no stated modality, while the training images are {' or '.join(self.modalities)}")
        return found

    def described(self) -> str:
        """Return what the model is made for, in one line; empty if anything."""
        spans = ", ".join(_span(*span) for span in self.trained_spacing_mm[-2:-1])
        known = (" or ".join(self.modalities), " or ".join(self.orientations), self.unit, spans)
        return ", ".join(filter(None, known))


def _listed(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values) - {""}))


def _span(low: float, high: float) -> str:
    first, last = described_length(low), described_length(high)
    number, unit = first.split()
    if first == last:
        return first
    return f"{number if last.endswith(f' {unit}') else first} to {last}"


def _outside(image: Acquisition, spans: Sequence[Range], factor: float) -> str:
    """Return the first spacing outside its range times a factor, such as "0.35 mm instead of 0.7 mm"; empty if none."""
    count = min(len(spans), len(image.spacing_mm))
    for side, (low, high) in zip(image.spacing_mm[-count:], spans[-count:], strict=False):
        if not low / factor <= side <= high * factor:
            return f"{described_length(side)} instead of {_span(low, high)}"
    return ""


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
