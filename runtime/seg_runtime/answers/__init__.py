"""Kinds of answers: what logits become, what is recorded of them, which files they can be, how they are drawn.

Nobody outside of this folder asks which kind an answer is: whatever follows from the kind is a method or an attribute of
`Answer`, or of its spec in the contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..formats import Answered, Output, Source, Write, prepare_pages
from ..model import ANSWER_GROUP, Contract
from ..support import Registry, import_when_asked, subclass_of
from .answer import Answer as Answer
from .labels import Labels as Labels
from .values import Values as Values

if TYPE_CHECKING:
    from .overlay import blend as blend
    from .overlay import first_channel as first_channel
    from .overlay import fullest_slice as fullest_slice
    from .overlay import visible as visible
    from .valuemap import grey as grey

if not TYPE_CHECKING:  # else a type checker would believe that every name is there
    __getattr__ = import_when_asked(
        __name__, {"overlay": ("blend", "first_channel", "fullest_slice", "visible"), "valuemap": ("grey",)}
    )

ANSWERS: Registry[type[Answer]] = Registry(
    ANSWER_GROUP, "answer", {a.Spec.kind: a for a in (Labels, Values)}, subclass_of(Answer, lambda a: a.Spec.kind)
)


def answer_of(contract: Contract) -> Answer:
    """The answer that a contract names.

    Raises:
        SegError: the package that has it is not installed.
    """
    return ANSWERS.get(contract.answer.kind)(contract)


def _prepare_overlays(results: Sequence[Answered], source: Source) -> tuple[str, Write]:
    drawn = answer_of(results[0].contract)
    return prepare_pages([drawn.draw(r.image, r.answer) for r in results])


OVERLAY = Output("overlay", (".png", ".tif"), _prepare_overlays)
"""The answer for the eye, of any kind and beside any format."""
