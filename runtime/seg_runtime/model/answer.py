"""What the maps of a network mean: the part of the contract that `answers/` acts upon."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ..support import ContractError, Registry, SegError
from .nested import Variant, need

ANSWER_GROUP = "seg_edge.answers"
"""Entry points of answers of other packages; each is an `answers.Answer`, which names its spec."""
MOST_OUTPUTS = 64


@dataclass(frozen=True)
class Code:
    """A coded concept as DICOM writes it, e.g. 10200004, SCT, Liver (PS3.3, section 8)."""

    value: str
    scheme: str
    meaning: str

    def __post_init__(self) -> None:
        """Refuse an empty part."""
        parts = (self.value, self.scheme, self.meaning)
        need(all(isinstance(v, str) and v for v in parts), "an empty code", "value, scheme, meaning")


@dataclass(frozen=True)
class ClassInfo:
    """One class: its name and the RGB colour (0..255) that masks and overlays show it in.

    `category` and `property_type` say in codes what it is, e.g. (123037004, SCT, Anatomical Structure) and
    (10200004, SCT, Liver): DICOM's segmented property category and type. None where nobody said.
    """

    name: str
    color: tuple[int, int, int]
    category: Code | None = None
    property_type: Code | None = None

    def __post_init__(self) -> None:
        """Refuse a colour that is none."""
        rgb = all(type(v) is int and 0 <= v <= 255 for v in self.color)
        need(rgb, f"the colour {self.color} of {self.name}", "RGB values 0..255")


@dataclass(frozen=True)
class OutputInfo:
    """One output of a regression: its value is `offset + scale * y`, y being what the network gives.

    Values are in the units of the training targets, named by `unit` where somebody did. `low` and `high` are the least and
    the largest of those targets: what pictures and scores take for the range. Nothing is clipped to it.
    """

    name: str
    offset: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 1.0
    unit: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no number, no range or has no name."""
        need(isinstance(self.name, str) and bool(self.name), "an output without a name", "a name each")
        numbers = (self.offset, self.scale, self.low, self.high)
        need(all(map(math.isfinite, numbers)), f"infinite numbers of the output {self.name}", "finite ones")
        need(self.scale > 0, f"the scale {self.scale} of the output {self.name}", "a positive one")
        need(self.low < self.high, f"values of {self.name} from {self.low} to {self.high}", "a range")


@dataclass(frozen=True)
class AnswerSpec(Variant):
    """What the maps of a network mean. Subclasses are frozen dataclasses.

    Attributes:
        kind: its name, which the registry of answers knows.
        decided: whether each pixel gets one of several classes, so that a small error may flip it.
        geometries, forms, precisions: what such a model can be trained and exported as.
    """

    decided: ClassVar[bool] = False
    geometries: ClassVar[tuple[str, ...]] = ("tile",)
    forms: ClassVar[tuple[str, ...]] = ("window",)
    precisions: ClassVar[tuple[str, ...]] = ("fp32",)

    @property
    def maps(self) -> int:
        """Maps of the network, K."""
        raise NotImplementedError

    @property
    def activation(self) -> str:
        """What makes probabilities of logits: `softmax`, `sigmoid` or `none`."""
        return "none"

    @classmethod
    def of_kind(cls, kind: str) -> type[Variant]:
        """The spec of a kind, which another package may have."""
        if kind in _OWN:
            return _OWN[kind]
        offered = Registry[type](ANSWER_GROUP, "answer", {})
        if kind not in offered:
            fix = "upgrade seg-edge, or install the package that offers it"
            raise ContractError(f"contract with an answer of kind {kind!r}", ", ".join(_OWN), fix)
        try:
            found: type[Variant] = offered.get(kind).Spec  # type: ignore[attr-defined]
        except SegError as error:
            raise ContractError(error.problem, error.expected, error.advice) from error
        return found


@dataclass(frozen=True)
class LabelSpec(AnswerSpec):
    """One class for each pixel.

    Attributes:
        classes: class 0 is the background.
        decision: `argmax` takes the largest probability; `threshold` the largest of the classes after the background that
            reaches `threshold`, each class with a probability of its own.
        threshold: probability from which a class counts, for the decision `threshold`.
    """

    kind = "labels"
    decided = True
    geometries = ("tile", "fit", "stretch")
    forms = ("window", "host-ready")
    precisions = ("fp32", "int8", "fp16")

    classes: tuple[ClassInfo, ...]
    decision: str = "argmax"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        need(2 <= len(self.classes) <= 256, f"{len(self.classes)} classes", "2 to 256, the background first")
        need(self.decision in ("argmax", "threshold"), f"decision {self.decision!r}", "argmax or threshold")
        need(0 <= self.threshold <= 1, f"threshold {self.threshold}", "a probability from 0 to 1")

    @property
    def maps(self) -> int:
        """One map for each class."""
        return len(self.classes)

    @property
    def activation(self) -> str:
        """Softmax where classes exclude each other, else a sigmoid of each."""
        return "softmax" if self.decision == "argmax" else "sigmoid"


@dataclass(frozen=True)
class ValueSpec(AnswerSpec):
    """Values for each pixel, in the units of the training targets.

    Attributes:
        outputs: in their order, a map each.
    """

    kind = "values"

    outputs: tuple[OutputInfo, ...]

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        names = [o.name for o in self.outputs]
        need(1 <= len(names) <= MOST_OUTPUTS, f"{len(names)} outputs", f"1 to {MOST_OUTPUTS}")
        need(len(set(names)) == len(names), f"outputs {names}", "names of their own")

    @property
    def maps(self) -> int:
        """One map for each output."""
        return len(self.outputs)


_OWN: dict[str, type[AnswerSpec]] = {spec.kind: spec for spec in (LabelSpec, ValueSpec)}
