"""Tell apart images of a series that have the same position, such as the phases of a heart or the echoes of an MR scan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from .library import Dataset

WORDS = (
    "TemporalPositionIdentifier", "DiffusionBValue", "DiffusionGradientOrientation", "EchoNumbers", "EchoTime",
    "InversionTime", "ImageType", "AcquisitionNumber", "TriggerTime", "ConvolutionKernel", "AcquisitionDateTime",
    "AcquisitionTime", "ContentTime",
)  # fmt: skip
"""Elements that distinguish images at the same position, the most telling first."""
_SHOWN = ("TemporalPositionIdentifier", "DiffusionBValue", "EchoNumbers", "EchoTime", "AcquisitionNumber")
"""Elements whose values are shown if they are numbers."""


class Placed(Protocol):
    """An image with a position along the normal of its stack."""

    @property
    def level(self) -> int:
        """Rank of its position; equal for images at the same position."""

    @property
    def facts(self) -> tuple[str, ...]:
        """Values of `WORDS`."""

    @property
    def number(self) -> int:
        """Its instance number."""


T = TypeVar("T", bound=Placed)


@dataclass(frozen=True)
class Phase:
    """What distinguishes a group of images from the others of its series.

    Attributes:
        text: such as "TemporalPositionIdentifier 2"; empty for the only group.
        sure: whether an element of the files says so; otherwise only their numbers do.
    """

    text: str = ""
    sure: bool = True


def facts_of(header: Dataset) -> tuple[str, ...]:
    """Return the values of `WORDS` as texts; empty for missing ones."""
    values = (header.get(word) for word in WORDS)
    return tuple("" if value is None else str(value) for value in values)


def phases(images: Sequence[T]) -> list[tuple[Phase, list[T]]]:
    """Split images at the same positions into groups that have each position once.

    The groups are those of the first element that separates images at the same position, then of the next one where that
    is not enough. An element that differs from slice to slice, as acquisition numbers may, does not count. If no element
    separates them, their numbers do: the first image at each position, then the second.
    """
    most = _most(images)
    if most == 1:
        return [(Phase(), list(images))]
    for index, word in enumerate(WORDS):
        groups: dict[str, list[T]] = {}
        for image in images:
            groups.setdefault(image.facts[index], []).append(image)
        few = len(groups) <= most or len(images) >= 2 * len(groups)
        if len(groups) > 1 and few and max(map(_most, groups.values())) < most:
            found = []
            for place, value in enumerate(sorted(groups, key=_order), 1):
                text = shown(word, value, place)
                for phase, inner in phases(groups[value]):
                    found.append((Phase(", ".join(filter(None, (text, phase.text))), phase.sure), inner))
            return found
    layers: list[list[T]] = [[] for _ in range(most)]
    depths: Counter[int] = Counter()
    for image in sorted(images, key=lambda image: image.number):
        layers[depths[image.level]].append(image)
        depths[image.level] += 1
    return [(Phase(f"group {n} by InstanceNumber", sure=False), layer) for n, layer in enumerate(layers, 1)]


def shown(word: str, value: str, place: int) -> str:
    """Return an element that distinguishes a group, with its value if that is a number: never text from a file."""
    numeric = word in _SHOWN and (not value or _order(value)[0] == 0)
    return f"{word} {value or 'missing'}" if numeric else f"{word}, group {place}"


def _most(images: Sequence[Placed]) -> int:
    """Return the largest number of images at one position."""
    return max(Counter(image.level for image in images).values())


def _order(value: str) -> tuple[Any, ...]:
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value
