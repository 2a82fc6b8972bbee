"""Scan an ONNX file before ONNX Runtime loads it.

Wire format: https://protobuf.dev/programming-guides/encoding. Field numbers: onnx.proto. The scan copies nothing, does
not recurse and is bounded, so that no file takes more than a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..support import ModelError

MAX_BYTES = 2**31 - 1  # limit of protobuf messages
MAX_NODES = 20_000  # a U-Net has 70; a graph far larger would only keep ONNX Runtime's optimizer busy
MAX_FIELDS = 500_000  # files of seg-export have a few thousand
MAX_DEPTH = 64  # nested messages; a subgraph takes three
MAX_NAME = 1000  # bytes of the name of an operator, a domain or a key
IR_VERSIONS, OPSETS = (3, 10), (7, 21)  # versions that ONNX Runtime 1.18, the oldest supported one, can load
DOMAINS = ("", "ai.onnx")  # operators that every host provides; other domains may need a custom library

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_SIZES = {_I64: 8, _I32: 4}
_EXTERNAL = 1  # TensorProto.DataLocation

# message -> field number -> message in this field
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 8: "opset", 14: "entry", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "elsewhere"},  # StringStringEntryProto of external_data
}
# message -> number of a field whose value is used -> its wire type
_VALUES: dict[str, dict[int, int]] = {
    "model": {1: _VARINT},
    "opset": {1: _LEN, 2: _VARINT},
    "entry": {1: _LEN, 2: _LEN},
    "node": {4: _LEN, 7: _LEN},
    "tensor": {14: _VARINT},
}

Span = tuple[int, int]


@dataclass
class OnnxFile:
    """The content of a model file, including its subgraphs and functions."""

    ir_version: int = 0
    opsets: dict[str, int] = field(default_factory=dict)
    """Domain -> newest version that the file imports."""
    nodes: int = 0
    graphs: int = 0
    operators: set[tuple[str, str]] = field(default_factory=set)
    """(domain, type) of all nodes."""
    external: bool = False
    """Whether any tensor is stored in another file."""
    metadata: dict[str, memoryview] = field(default_factory=dict)
    """`metadata_props`; the values are views of the file's bytes."""

    @classmethod
    def scan(cls, data: bytes, name: str) -> OnnxFile:
        """Scan a model file.

        Args:
            data: content of the file.
            name: name of the file for errors.

        Raises:
            ModelError: the file is truncated, damaged or not an ONNX file.
        """
        if len(data) > MAX_BYTES:
            raise ModelError(f"{name} has {len(data)} bytes", f"at most {MAX_BYTES}", "export it with seg-export")
        found = cls()
        try:
            _walk(memoryview(data), found)
            if not found.graphs:
                raise _Damaged("it has no graph")
        except _Damaged as error:
            problem = f"{name} is not an ONNX model, or it is truncated or damaged ({error})"
            raise ModelError(problem, "an ONNX file made by seg-export", "copy or export it again") from error
        return found

    def check(self, name: str) -> None:
        """Check that this version supports the file.

        Raises:
            ModelError: the file has external data, too many nodes, or an unsupported IR version, opset or operator
                domain.
        """
        if self.external:  # the digest does not cover a second file
            problem = f"{name} stores weights in another file"
            raise ModelError(problem, "a single file with all weights", "export it with seg-export")
        if self.nodes > MAX_NODES:
            raise ModelError(f"{name} has {self.nodes} nodes", f"at most {MAX_NODES}", "export it with seg-export")
        opset = max((version for domain, version in self.opsets.items() if domain in DOMAINS), default=0)
        versions = [("IR version", self.ir_version, IR_VERSIONS), ("opset", opset, OPSETS)]
        for what, version, (oldest, newest) in versions:
            if not oldest <= version <= newest:
                advice = "upgrade seg-edge on this machine" if version > newest else "export it again"
                raise ModelError(f"{name} has {what} {version}", f"{oldest} to {newest}", advice)
        if odd := sorted(f"{domain}.{kind}" for domain, kind in self.operators if domain not in DOMAINS):
            problem = f"{name} uses operators outside the ONNX standard ({', '.join(odd[:3])})"
            raise ModelError(problem, "standard operators only", "export it with seg-export")


class _Damaged(Exception):  # noqa: N818 - used only in this module
    pass


def _walk(data: memoryview, found: OnnxFile) -> None:
    waiting: list[tuple[str, int, int, int]] = [("model", 0, len(data), 0)]
    budget = MAX_FIELDS
    while waiting:
        message, start, end, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _Damaged(f"more than {MAX_DEPTH} nested messages")
        inside, wanted = _INSIDE.get(message, {}), _VALUES.get(message, {})
        values: dict[int, int | Span] = {}
        for number, wire, value in _fields(data, start, end):
            budget -= 1
            if not budget:
                raise _Damaged(f"more than {MAX_FIELDS} fields")
            if wire == _LEN and number in inside:
                waiting.append((inside[number], *value, depth + 1))  # type: ignore[misc]
            elif wanted.get(number) == wire:
                values[number] = value
        _note(found, message, data, values)


def _fields(data: memoryview, at: int, end: int) -> Iterator[tuple[int, int, int | Span]]:
    """Yield the number, wire type and value of each field. The value is an integer, or the start and end of the
    bytes."""
    while at < end:
        tag, at = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if not 1 <= number < 1 << 29:
            raise _Damaged(f"field {number} at byte {at}")
        if wire == _VARINT:
            value, at = _varint(data, at, end)
            yield number, wire, value
            continue
        if wire == _LEN:
            length, at = _varint(data, at, end)
        elif wire in _SIZES:
            length = _SIZES[wire]
        else:
            raise _Damaged(f"wire type {wire} at byte {at}")
        if length > end - at:
            raise _Damaged(f"a field of {length} bytes at byte {at}, where {end - at} bytes are left")
        yield number, wire, (at, at + length)
        at += length


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """Read an unsigned integer of at most 64 bits, 7 per byte; return it and the position of its end."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise _Damaged(f"unexpected end at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise _Damaged(f"a number of more than ten bytes at byte {at}")


def _note(found: OnnxFile, message: str, data: memoryview, values: dict[int, int | Span]) -> None:
    if message == "model":
        found.ir_version = _number(values.get(1))
    elif message == "opset":
        domain = _name(data, values.get(1))
        found.opsets[domain] = max(_number(values.get(2)), found.opsets.get(domain, 0))
    elif message == "node":
        found.nodes += 1
        found.operators.add((_name(data, values.get(7)), _name(data, values.get(4))))
    elif message == "graph":
        found.graphs += 1
    elif message == "elsewhere" or (message == "tensor" and values.get(14) == _EXTERNAL):
        found.external = True
    elif message == "entry":
        key = _name(data, values.get(1))
        if key in found.metadata:  # readers differ in which of the two entries they use
            raise _Damaged(f"duplicate metadata entry {key!r}")
        found.metadata[key] = _view(data, values.get(2))


def _number(value: int | Span | None) -> int:
    return value if isinstance(value, int) else 0


def _view(data: memoryview, span: int | Span | None) -> memoryview:
    return data[slice(*span)] if isinstance(span, tuple) else data[:0]


def _name(data: memoryview, span: int | Span | None) -> str:
    view = _view(data, span)
    if len(view) > MAX_NAME:
        raise _Damaged(f"a name of {len(view)} bytes")
    return bytes(view).decode("utf-8", "backslashreplace")
