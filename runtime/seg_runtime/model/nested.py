"""Frozen dataclasses <-> JSON: the parts of a contract, each checked when it is made.

A class of several variants, such as the kinds of answers, is written with its `kind` and read back as the class of that kind.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from ..support import ContractError

T = TypeVar("T")


class Variant:
    """A part of the contract that is one of several kinds."""

    kind: ClassVar[str]

    @classmethod
    def of_kind(cls, kind: str) -> type[Variant]:
        """The class of a kind.

        Raises:
            ContractError: there is none.
        """
        found = {c.kind: c for c in cls.__subclasses__()}
        if kind not in found:
            raise ContractError(
                f"contract with a {cls.__name__} of kind {kind!r}", ", ".join(found), "upgrade seg-edge"
            )
        return found[kind]


def need(ok: bool, problem: str, expected: str) -> None:
    """Refuse a contract.

    Args:
        ok: whether all is well.
        problem: what is wrong, after "contract with".
        expected: what would be right.

    Raises:
        ContractError: it is not ok.
    """
    if not ok:
        raise ContractError(f"contract with {problem}", expected, "train or export the model again")


def to_json_value(value: Any) -> Any:
    """A dataclass, and all in it, as what JSON knows."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = {"kind": value.kind} if isinstance(value, Variant) else {}
        return {**kind, **{f.name: to_json_value(getattr(value, f.name)) for f in fields(value)}}
    if isinstance(value, Mapping):
        return {key: to_json_value(inner) for key, inner in value.items()}
    return [to_json_value(inner) for inner in value] if isinstance(value, (tuple, list)) else value


def from_json_value(wanted: type[T], raw: Any, name: str = "contract") -> T:
    """What `to_json_value` made.

    Args:
        wanted: the dataclass.
        raw: what JSON gave.
        name: of the part, for errors.

    Raises:
        ContractError: missing or unknown fields, values of another type, or such that contradict each other.
    """
    kind: Any = wanted
    if not isinstance(raw, Mapping):
        raise ContractError(f"the {name} is no JSON object", "", "export the model again")
    if issubclass(kind, Variant):
        raw = dict(raw)
        kind = kind.of_kind(str(raw.pop("kind", "")))
    types_of = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    if odd := sorted(set(raw) ^ set(known)):
        raise ContractError(f"{name} fields {odd} missing or unknown", "", "export the model again with this version")
    result: T = kind(**{field: _value(types_of[field], raw[field], f"{name}.{field}") for field in known})
    return result


def _value(wanted: Any, raw: Any, name: str) -> Any:
    origin, inside = get_origin(wanted), get_args(wanted)
    if origin in (Union, types.UnionType):  # X | None
        return None if raw is None else _value(inside[0], raw, name)
    if origin is tuple and isinstance(raw, list):
        each = inside[:1] * len(raw) if inside[-1] is Ellipsis else inside
        if len(each) == len(raw):
            return tuple(
                _value(kind, value, f"{name}[{i}]") for i, (kind, value) in enumerate(zip(each, raw, strict=True))
            )
    if isinstance(wanted, type) and (is_dataclass(wanted) or issubclass(wanted, Variant)):
        return from_json_value(wanted, raw, name)
    number = type(raw) in (int, float) and math.isfinite(raw)
    fits = number if wanted is float else isinstance(raw, Mapping) if origin is Mapping else type(raw) is wanted
    if not fits:
        raise ContractError(f"{name} is {raw!r}", f"{getattr(wanted, '__name__', wanted)}", "export the model again")
    return raw
