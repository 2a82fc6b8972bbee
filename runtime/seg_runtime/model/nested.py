"""Convert frozen dataclasses, the parts of a contract, to and from JSON.

A class with several variants, such as the kinds of answers, is written with its `kind` and read as the class of that
kind.
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
    """A part of the contract that has several kinds."""

    kind: ClassVar[str]

    @classmethod
    def of_kind(cls, kind: str) -> type[Variant]:
        """Return the class of a kind.

        Raises:
            ContractError: the kind is unknown.
        """
        found = {c.kind: c for c in cls.__subclasses__()}
        if kind not in found:
            problem = f"unknown kind of {cls.__name__} {kind!r} in the contract"
            raise ContractError(problem, ", ".join(found), "upgrade seg-edge")
        return found[kind]


def need(ok: bool, problem: str, expected: str) -> None:
    """Check a condition of the contract.

    Args:
        ok: the condition.
        problem: what is wrong if it is false; follows "invalid contract: ".
        expected: completes "expected ...".

    Raises:
        ContractError: the condition is false.
    """
    if not ok:
        raise ContractError(f"invalid contract: {problem}", expected, "train or export the model again")


def to_json_value(value: Any) -> Any:
    """Convert a dataclass and everything in it to JSON types."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = {"kind": value.kind} if isinstance(value, Variant) else {}
        return {**kind, **{f.name: to_json_value(getattr(value, f.name)) for f in fields(value)}}
    if isinstance(value, Mapping):
        return {key: to_json_value(inner) for key, inner in value.items()}
    return [to_json_value(inner) for inner in value] if isinstance(value, (tuple, list)) else value


def from_json_value(wanted: type[T], raw: Any, name: str = "contract") -> T:
    """Convert the result of `to_json_value` back to a dataclass.

    Args:
        wanted: the dataclass.
        raw: the parsed JSON.
        name: name of the part, for errors.

    Raises:
        ContractError: fields are missing or unknown, or values have another type or are inconsistent.
    """
    kind: Any = wanted
    if not isinstance(raw, Mapping):
        raise ContractError(f"{name} is not a JSON object", "", "export the model again")
    if issubclass(kind, Variant):
        raw = dict(raw)
        kind = kind.of_kind(str(raw.pop("kind", "")))
    types_of = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    if odd := sorted(set(raw) ^ set(known)):
        problem = f"the fields {odd} of {name} are missing or unknown"
        raise ContractError(problem, "", "export the model again with this version")
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
        expected = f"a value of type {getattr(wanted, '__name__', wanted)}"
        raise ContractError(f"{name} is {repr(raw)[:80]}", expected, "export the model again")
    return raw
