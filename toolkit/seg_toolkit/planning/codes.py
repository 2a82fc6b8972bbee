"""DICOM's codes of classes, from a JSON file: a DICOM SEG carries them, so that other software recognises a liver.

    {"liver": {"category": ["123037004", "SCT", "Anatomical Structure"], "type": ["10200004", "SCT", "Liver"]}}

Categories are those of PS3.16, CID 7150, types those of CID 7151 and wherever an institution finds better ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seg_runtime.model import ClassInfo, Code, Contract
from seg_runtime.support import DataError

_FORM = '{"NAME": {"category": [VALUE, SCHEME, MEANING], "type": [VALUE, SCHEME, MEANING]}, …}'
_LIMITS = (("value", 16), ("scheme", 16), ("meaning", 64))  # characters of SH and LO, PS3.5, 6.2


def with_codes(contract: Contract, path: Path | None) -> Contract:
    """The contract with the codes that a file gives to its classes; as it was where there is no file.

    Raises:
        DataError: an answer without classes, or a file that `coded` refuses.
    """
    if path is None:
        return contract
    if not contract.classes:
        raise DataError(f"--codes for answers of the kind {contract.answer.kind}", "a model of classes", "leave it out")
    answer: Any = contract.answer
    return replace(contract, answer=replace(answer, classes=coded(contract.classes, path)))


def coded(classes: Sequence[ClassInfo], path: Path | None) -> tuple[ClassInfo, ...]:
    """The classes with the codes that a file gives to them; as they were where there is no file.

    Raises:
        DataError: not such a file, a class that does not exist, the background, or a code that DICOM cannot hold.
    """
    if path is None:
        return tuple(classes)
    given = _read(path)
    names = [c.name for c in classes[1:]]
    if odd := [name for name in given if name not in names]:
        background = " (the background is no segment)" if odd[0] == classes[0].name else ""
        raise DataError(f"{path} names the class {odd[0]!r}{background}", f"of {', '.join(names)}", "correct the file")
    return tuple(_coded(c, given[c.name], path) if c.name in given and i else c for i, c in enumerate(classes))


def _read(path: Path) -> dict[str, Any]:
    try:
        given = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=_each_once)
    except OSError as error:
        raise DataError(f"--codes {path} cannot be read ({error.strerror})", "a JSON file", "check the path") from error
    except ValueError as error:
        raise DataError(f"--codes {path} is no JSON ({error})", _FORM, "correct the file") from error
    if not isinstance(given, dict):
        raise DataError(f"--codes {path} holds no object", _FORM, "write it like that")
    return given


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice")
    return found


def _coded(info: ClassInfo, given: Any, path: Path) -> ClassInfo:
    if not isinstance(given, Mapping) or not given or not set(given) <= {"category", "type"}:
        raise DataError(f"{path} gives {info.name!r} no category and type", _FORM, "write it like that")
    category, kind = (_code(given[key], f"the {key} of {info.name!r} in {path}") if key in given else None
                      for key in ("category", "type"))  # fmt: skip
    return replace(info, category=category or info.category, property_type=kind or info.property_type)


def _code(given: Any, what: str) -> Code:
    if not isinstance(given, list) or len(given) != 3 or not all(isinstance(v, str) for v in given):
        raise DataError(f"{what} is {json.dumps(given)}", "three texts: value, scheme, meaning", "write it like that")
    for text, (name, limit) in zip(given, _LIMITS, strict=True):
        if not text.strip() or len(text) > limit or "\\" in text or not text.isprintable():
            wanted = f"1 to {limit} printable characters without a backslash"
            raise DataError(f"{what} has the {name} {text!r}", wanted, "correct it")
    return Code(*given)
