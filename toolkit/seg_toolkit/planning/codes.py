"""DICOM codes of classes from a JSON file. A DICOM SEG stores them, so that other software recognises a liver.

    {"liver": {"category": ["123037004", "SCT", "Anatomical Structure"], "type": ["10200004", "SCT", "Liver"]}}

Categories are those of PS3.16, CID 7150. Types are those of CID 7151, or better ones that your institution uses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seg_runtime.model import ClassInfo, Code, Contract
from seg_runtime.support import METADATA_BYTES, DataError, parse_json, read_file

_FORM = '{"NAME": {"category": [VALUE, SCHEME, MEANING], "type": [VALUE, SCHEME, MEANING]}, …}'
_LIMITS = (("value", 16), ("scheme", 16), ("meaning", 64))  # characters of SH and LO, PS3.5, 6.2


def with_codes(contract: Contract, path: Path | None) -> Contract:
    """Add the codes of a file to the classes of a contract. Without a file, the contract is returned unchanged.

    Raises:
        DataError: if the contract has no classes, or for the reasons of `coded`.
    """
    if path is None:
        return contract
    if not contract.classes:
        problem = f"--codes does not fit outputs of the kind {contract.answer.kind}"
        raise DataError(problem, "a model with classes", "leave out --codes")
    answer: Any = contract.answer
    return replace(contract, answer=replace(answer, classes=coded(contract.classes, path)))


def coded(classes: Sequence[ClassInfo], path: Path | None) -> tuple[ClassInfo, ...]:
    """Add the codes of a file to classes. Without a file, the classes are returned unchanged.

    Raises:
        DataError: if the file is invalid, names an unknown class or the background, or has a code that DICOM cannot store.
    """
    if path is None:
        return tuple(classes)
    given = _read(path)
    names = [c.name for c in classes[1:]]
    if odd := [name for name in given if name not in names]:
        background = " (the background is not a segment)" if odd[0] == classes[0].name else ""
        raise DataError(f"{path} names the class {odd[0]!r}{background}", ", ".join(names), "correct the file")
    return tuple(_coded(c, given[c.name], path) if c.name in given and i else c for i, c in enumerate(classes))


def _read(path: Path) -> dict[str, Any]:
    try:
        given = parse_json(read_file(path, METADATA_BYTES).decode("utf-8-sig"), object_pairs_hook=_each_once)
    except OSError as error:
        what = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise DataError(f"--codes {path} {what}", "a JSON file", "check the path") from error
    except ValueError as error:
        raise DataError(f"--codes {path} is not JSON ({error})", _FORM, "correct the file") from error
    if not isinstance(given, dict):
        raise DataError(f"--codes {path} contains no JSON object", _FORM, "correct the file")
    return given


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _coded(info: ClassInfo, given: Any, path: Path) -> ClassInfo:
    if not isinstance(given, Mapping) or not given or not set(given) <= {"category", "type"}:
        raise DataError(f"{path} gives {info.name!r} neither category nor type", _FORM, "correct the file")
    category, kind = (_code(given[key], f"the {key} of {info.name!r} in {path}") if key in given else None
                      for key in ("category", "type"))  # fmt: skip
    return replace(info, category=category or info.category, property_type=kind or info.property_type)


def _code(given: Any, what: str) -> Code:
    if not isinstance(given, list) or len(given) != 3 or not all(isinstance(v, str) for v in given):
        expected = "three strings: value, scheme, meaning"
        raise DataError(f"{what} is {json.dumps(given)}", expected, "correct the file")
    for text, (name, limit) in zip(given, _LIMITS, strict=True):
        if not text.strip() or len(text) > limit or "\\" in text or not text.isprintable():
            expected = f"1 to {limit} printable characters without a backslash"
            raise DataError(f"{what} has the {name} {text!r}", expected, "correct the file")
    return Code(*given)
