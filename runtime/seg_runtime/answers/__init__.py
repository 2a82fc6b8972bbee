"""Kinds of answers: what the logits become, and how the result is recorded, written and drawn.

Code outside this folder does not check the kind of an answer: everything that depends on it is a method or an attribute
of `Answer`, or of its spec in the contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..formats import Output, PageResult, Source, Write, prepare_pages
from ..model import ANSWER_GROUP, Contract
from ..support import Registry, import_on_access, subclass_of
from .answer import Answer as Answer
from .labels import Labels as Labels
from .objects import Objects as Objects
from .separate import DEPTH_STEPS as DEPTH_STEPS
from .separate import SMOOTH_PX as SMOOTH_PX
from .separate import Ids as Ids
from .separate import components as components
from .separate import matched as matched
from .separate import renumbered as renumbered
from .separate import unmatched as unmatched
from .values import Values as Values

if TYPE_CHECKING:
    from .overlay import blend as blend
    from .overlay import first_channel as first_channel
    from .overlay import fullest_slice as fullest_slice
    from .overlay import outlined as outlined
    from .overlay import stretched as stretched
    from .overlay import visible as visible
    from .valuemap import grey as grey

if not TYPE_CHECKING:  # with a module __getattr__, a type checker would accept every name
    __getattr__ = import_on_access(
        __name__,
        {
            "overlay": ("blend", "first_channel", "fullest_slice", "outlined", "stretched", "visible"),
            "valuemap": ("grey",),
        },
    )

ANSWERS: Registry[type[Answer]] = Registry(
    ANSWER_GROUP,
    "answer",
    {a.Spec.kind: a for a in (Labels, Values, Objects)},
    subclass_of(Answer, lambda a: a.Spec.kind),
)


def answer_of(contract: Contract) -> Answer:
    """Return the answer that a contract specifies.

    Raises:
        SegError: the package that provides it is not installed.
    """
    return ANSWERS.get(contract.answer.kind)(contract)


def _prepare_overlays(results: Sequence[PageResult], source: Source) -> tuple[str, Write]:
    drawn = answer_of(results[0].contract)
    return prepare_pages([drawn.draw(r.image, r.answer) for r in results])


OVERLAY = Output("overlay", (".png", ".tif"), _prepare_overlays)
"""The overlay, for any kind of answer and any format."""


def _prepare_outlines(results: Sequence[PageResult], source: Source) -> tuple[str, Write]:
    drawn = answer_of(results[0].contract)
    return prepare_pages([drawn.draw_objects(r.image, r.answer, r.objects) for r in results])


OVERLAY_OF_OBJECTS = Output("overlay_objects", (".png", ".tif"), _prepare_outlines)
"""The overlay of a model that does not separate objects, with the objects that are numbered afterwards."""
