"""Which options of `seg-train` fit together: one table, checked before any work starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import Field, dataclass
from typing import Any

from seg_runtime.support.capabilities import Rule

from .options import DataOptions, EvaluateOptions, ImportOptions, TrainOptions, flag_of, option_fields


@dataclass(frozen=True, kw_only=True)
class AnswerFacts:
    """What rules must know about the objective and the data set.

    Attributes:
        options: that the objective takes, of those that only some take.
        geometries: that the answer can have.
        fits_data: whether DATA has the kind of truth that the objective learns from.
        importable: whether weights alone say what the network's maps mean.
        channel_files: files of an image, one a channel; 0 where an image is one file.
    """

    options: Sequence[str]
    geometries: Sequence[str]
    fits_data: bool = True
    importable: bool = True
    channel_files: int = 0


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a call asks for, and what is known by then.

    Attributes:
        options: of the call.
        given: names of the options on the command line, which the command may not have.
        network: options that the network takes, of those that only some take; None before it is known.
        answer: None before it is known.
    """

    options: DataOptions
    given: frozenset[str] = frozenset()
    network: Sequence[str] | None = None
    answer: AnswerFacts | None = None

    def has(self, option: Field[Any]) -> bool:
        """Whether an option says something else than its default."""
        return bool(getattr(self.options, option.name, option.default) != option.default)


_TRAIN, _EVALUATE = option_fields(TrainOptions), option_fields(EvaluateOptions)
_IMPORT = {name: f for name, f in option_fields(ImportOptions).items() if name not in _TRAIN}


def _only(option: Field[Any], command: type[DataOptions], needs: str, advice: str) -> Rule[Request]:
    """An option of one command, whose use with another is a mistake."""
    return Rule(
        flag_of(option), lambda r: option.name in r.given, lambda r: isinstance(r.options, command), needs, advice
    )


def _not_while_evaluating(option: Field[Any]) -> Rule[Request]:
    return Rule(
        flag_of(option), lambda r: option.name in r.given, lambda r: not isinstance(r.options, EvaluateOptions),
        "a training", "--evaluate does not train.", harmless=True,
    )  # fmt: skip


def _not_of_an_import(option: Field[Any]) -> Rule[Request]:
    return Rule(
        flag_of(option), lambda r: isinstance(r.options, ImportOptions) and r.has(option), lambda r: False,
        "a training, not --import", "leave it out, since an imported network is not trained",
    )  # fmt: skip


def _of_network(option: Field[Any]) -> Rule[Request]:
    return Rule(
        flag_of(option), lambda r: r.network is not None and r.has(option), lambda r: option.name in (r.network or ()),
        "a network that takes it", "the network does not take it.", harmless=True,
    )  # fmt: skip


def _of_answer(option: Field[Any]) -> Rule[Request]:
    return Rule(
        flag_of(option), lambda r: r.answer is not None and r.has(option),
        lambda r: r.answer is None or option.name in r.answer.options,
        "an answer that takes it", "the answer that this network learns does not take it.", harmless=True,
    )  # fmt: skip


def _value(request: Request, name: str) -> Any:
    return getattr(request.options, name, None)


RULES: tuple[Rule[Request], ...] = (
    Rule(
        "--evaluate", lambda r: isinstance(r.options, EvaluateOptions), lambda r: "weights" not in r.given,
        "no --import beside it", "do one after the other",
    ),
    *(
        _only(f, EvaluateOptions, "--evaluate", f"seg-train --evaluate MODEL.PT DATA {flag_of(f)} …")
        for name, f in _EVALUATE.items() if name not in _TRAIN and name != "model"
    ),
    *(_only(f, ImportOptions, "--import", "leave it out") for name, f in _IMPORT.items() if name != "weights"),
    *(_not_while_evaluating(f) for name, f in _TRAIN.items() if name not in _EVALUATE),
    *(_not_of_an_import(_TRAIN[name]) for name in ("resume", "pretrained", "steps", "epochs")),
    Rule(
        "--import", lambda r: isinstance(r.options, ImportOptions), lambda r: _value(r, "intensity") != "auto",
        "--intensity", "say how the network was fed, which its weights do not tell; scale divides by the dtype's maximum, see --help",
    ),
    Rule(
        "--epochs", lambda r: bool(_value(r, "epochs")), lambda r: not _value(r, "steps"),
        "no --steps beside it", "leave one of them out",
    ),
    *(_of_network(f) for f in option_fields(TrainOptions, "network").values()),
    *(_of_answer(f) for f in option_fields(TrainOptions, "answer").values()),
    Rule(
        "--answer", lambda r: bool(r.answer and _value(r, "answer")), lambda r: bool(r.answer and r.answer.fits_data),
        "a data set that teaches it", "choose another --reader, or leave --answer out",
    ),
    Rule(
        "--import", lambda r: isinstance(r.options, ImportOptions), lambda r: r.answer is None or r.answer.importable,
        "labels as the truth", "train the network here: weights do not say what their values stand for",
    ),
    Rule(
        "--geometry", lambda r: bool(r.answer) and _value(r, "geometry") in ("fit", "stretch"),
        lambda r: bool(r.answer and _value(r, "geometry") in r.answer.geometries),
        "an answer that can be resized", "leave it out, since each pixel has a value of its own",
    ),
    Rule(
        "--channels", lambda r: bool(r.answer and r.answer.channel_files and _value(r, "channels")),
        lambda r: bool(r.answer and r.answer.channel_files == _value(r, "channels")),
        "as many channels as a case has files", "give that number, or name other files in --reader",
    ),
)  # fmt: skip
"""All rules. What a rule needs to know and is not known yet counts as fitting, so the table is checked again when more is known."""
