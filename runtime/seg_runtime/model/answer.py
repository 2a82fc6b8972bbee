"""The meaning of the network's output maps: the part of the contract that `answers/` uses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..support import ContractError, Registry, SegError
from .nested import Variant, need

if TYPE_CHECKING:  # so that reading a model starts before numpy is imported
    import numpy as np
    from numpy.typing import NDArray

ANSWER_GROUP = "seg_edge.answers"
"""Group of the entry points that add answers; each is an `answers.Answer`, which names its spec."""
MOST_OUTPUTS = 64
MOST_OBJECT_CLASSES = 128  # since a byte holds the class of a pixel and whether it is in the interior of an object
SEPARATIONS = {"border": 1, "distance": 2}
"""Ways to separate objects, with the number of maps that each needs besides those of the classes."""


@dataclass(frozen=True)
class Code:
    """A coded concept as DICOM writes it, e.g. 10200004, SCT, Liver (PS3.3, section 8)."""

    value: str
    scheme: str
    meaning: str

    def __post_init__(self) -> None:
        """Check that no part is empty."""
        parts = (self.value, self.scheme, self.meaning)
        need(all(isinstance(v, str) and v for v in parts), "a code has an empty part", "value, scheme and meaning")


@dataclass(frozen=True)
class ClassInfo:
    """One class: its name and its RGB colour (0..255) in masks and overlays.

    `category` and `property_type` are DICOM's segmented property category and type as codes, e.g. (123037004, SCT,
    Anatomical Structure) and (10200004, SCT, Liver). They are None if not specified.
    """

    name: str
    color: tuple[int, int, int]
    category: Code | None = None
    property_type: Code | None = None

    def __post_init__(self) -> None:
        """Check the colour."""
        rgb = all(type(v) is int and 0 <= v <= 255 for v in self.color)
        need(rgb, f"class {self.name} has the colour {self.color}", "RGB values from 0 to 255")


@dataclass(frozen=True)
class OutputInfo:
    """One output of a regression: its value is `offset + scale * y`, where y is the output of the network.

    Values are in the units of the training targets; `unit` is their name, if specified. `low` and `high` are the
    minimum and maximum of the targets. Value maps and scores use them as the range; values are not clipped to it.
    """

    name: str
    offset: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 1.0
    unit: str = ""

    def __post_init__(self) -> None:
        """Check the name, the numbers and the range."""
        need(isinstance(self.name, str) and bool(self.name), "an output has no name", "a name for each output")
        numbers = (self.offset, self.scale, self.low, self.high)
        finite = all(map(math.isfinite, numbers))
        need(finite, f"output {self.name} has numbers that are not finite", "finite numbers")
        need(self.scale > 0, f"output {self.name} has the scale {self.scale}", "a positive number")
        need(self.low < self.high, f"output {self.name} has low {self.low} and high {self.high}", "low < high")


@dataclass(frozen=True)
class AnswerSpec(Variant):
    """The meaning of the network's output maps. Subclasses are frozen dataclasses.

    Attributes:
        kind: its name in the registry of answers.
        decided: whether each pixel gets one of several classes, so that a small error may change it.
        separated: whether it separates objects itself.
        geometries: geometries that such a model can be trained with.
        forms: forms of file that it can be exported as.
        precisions: precisions that it can be exported in.
        result_name: name of the result of a window among the outputs of a host-ready file.
        result_axes: lengths of the axes of this uint8 result before the spatial ones.
    """

    decided: ClassVar[bool] = False
    separated: ClassVar[bool] = False
    geometries: ClassVar[tuple[str, ...]] = ("tile",)
    forms: ClassVar[tuple[str, ...]] = ("window",)
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)
    result_name: ClassVar[str] = ""
    result_axes: ClassVar[tuple[int, ...]] = ()

    @property
    def maps(self) -> int:
        """Number of output maps, K."""
        raise NotImplementedError

    def holds(self, result: NDArray[np.uint8]) -> bool:
        """Whether all values of a result of a window, as a host-ready file gives it, have a meaning."""
        raise NotImplementedError

    @property
    def activation(self) -> str:
        """Function that converts logits to probabilities: `softmax`, `sigmoid` or `none`."""
        return "none"

    @classmethod
    def of_kind(cls, kind: str) -> type[Variant]:
        """Return the spec class of a kind, which another package may provide."""
        if kind in _OWN:
            return _OWN[kind]
        offered = Registry[type](ANSWER_GROUP, "answer", {})
        if kind not in offered:
            advice = "upgrade seg-edge, or install the package that provides it"
            raise ContractError(f"unknown kind of answer {kind!r} in the contract", ", ".join(_OWN), advice)
        try:
            found: type[Variant] = offered.get(kind).Spec  # type: ignore[attr-defined]
        except SegError as error:
            raise ContractError(error.problem, error.expected, error.advice) from error
        return found


@dataclass(frozen=True)
class LabelSpec(AnswerSpec):
    """One class per pixel.

    Attributes:
        classes: the classes; class 0 is the background.
        decision: `argmax` takes the most probable class; `threshold` takes, among the classes after the background,
            which have independent probabilities, the most probable one that reaches `threshold`, else the background.
        threshold: lowest probability of a class, for the decision `threshold`.
    """

    kind = "labels"
    decided = True
    geometries = ("tile", "fit", "stretch")
    forms = ("window", "host-ready")
    precisions = ("fp32", "int8", "fp16")
    result_name = "labels"

    classes: tuple[ClassInfo, ...]
    decision: str = "argmax"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Check that the fields are consistent."""
        need(2 <= len(self.classes) <= 256, f"{len(self.classes)} classes", "2 to 256 classes, the background first")
        need(self.decision in ("argmax", "threshold"), f"decision {self.decision!r}", "argmax or threshold")
        need(0 <= self.threshold <= 1, f"threshold {self.threshold}", "a probability from 0 to 1")

    @property
    def maps(self) -> int:
        """Number of output maps: one per class."""
        return len(self.classes)

    def holds(self, result: NDArray[np.uint8]) -> bool:
        """Whether all are indices of classes."""
        return bool((result < len(self.classes)).all())

    @property
    def activation(self) -> str:
        """`softmax` if the classes are mutually exclusive, else `sigmoid` per class."""
        return "softmax" if self.decision == "argmax" else "sigmoid"


@dataclass(frozen=True)
class ValueSpec(AnswerSpec):
    """Values per pixel, in the units of the training targets.

    Attributes:
        outputs: the outputs, in the order of their maps.
    """

    kind = "values"

    outputs: tuple[OutputInfo, ...]

    def __post_init__(self) -> None:
        """Check that the fields are consistent."""
        names = [o.name for o in self.outputs]
        need(1 <= len(names) <= MOST_OUTPUTS, f"{len(names)} outputs", f"1 to {MOST_OUTPUTS} outputs")
        need(len(set(names)) == len(names), f"output names {names}", "unique names")

    @property
    def maps(self) -> int:
        """Number of output maps: one per output."""
        return len(self.outputs)


@dataclass(frozen=True)
class ObjectSpec(AnswerSpec):
    """Separate objects, each with a class.

    Attributes:
        classes: the classes; class 0 is the background.
        separation: what separates objects that touch. `border`: the maps are the classes and the border of objects, as
            logits of one softmax. `distance`: the maps are the logits of the classes, of the distance to the edge of
            the object and of the nearness to other objects; see `answers/objects.py`.
        mask_threshold: lowest probability of a pixel of an object, 0..1.
        seed_threshold: lowest value of the interior of an object, 0..1, in its core.
        peak_px: least rise of the depth of the core in px from a neck to a peak, so that both sides are objects; 0 makes
            each connected part of the core an object.
        smallest_px: objects of fewer px are left out.
        fill_holes: whether background inside of an object becomes part of it.
    """

    kind = "objects"
    decided = True
    separated = True
    forms = ("window", "host-ready")
    precisions = ("fp32", "int8", "fp16")
    result_name = "planes"
    result_axes = (3,)

    classes: tuple[ClassInfo, ...]
    separation: str = "border"
    mask_threshold: float = 0.5
    seed_threshold: float = 0.5
    peak_px: float = 0.5
    smallest_px: int = 0
    fill_holes: bool = True

    def __post_init__(self) -> None:
        """Check that the fields are consistent."""
        many = 2 <= len(self.classes) <= MOST_OBJECT_CLASSES
        need(many, f"{len(self.classes)} classes", f"2 to {MOST_OBJECT_CLASSES} classes, the background first")
        need(self.separation in SEPARATIONS, f"separation {self.separation!r}", " or ".join(SEPARATIONS))
        for name in ("mask_threshold", "seed_threshold"):
            value = getattr(self, name)
            need(0 < value < 1, f"{name} {value}", "a number between 0 and 1")
        need(0 <= self.peak_px < math.inf, f"peak_px {self.peak_px}", "a number of 0 or more")
        need(type(self.smallest_px) is int and self.smallest_px >= 0, f"smallest_px {self.smallest_px}", "0 or more")
        need(type(self.fill_holes) is bool, f"fill_holes {self.fill_holes!r}", "true or false")

    @property
    def maps(self) -> int:
        """Number of output maps: one per class, and those that separate objects."""
        return len(self.classes) + SEPARATIONS[self.separation]

    def holds(self, result: NDArray[np.uint8]) -> bool:
        """Whether the first plane has indices of classes."""
        return bool((result[0] < len(self.classes)).all())


_OWN: dict[str, type[AnswerSpec]] = {spec.kind: spec for spec in (LabelSpec, ValueSpec, ObjectSpec)}
