"""Test whether an execution provider can compute, by running a model with one convolution, built byte by byte."""

from __future__ import annotations

import contextlib
import io
import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import Provider, RunOptions, open_on, quiet, runtime_module
from ..support import SegError

SUM = 45.0  # sum of the weights 1..9: the correct result for an input of ones


@dataclass(frozen=True)
class ProviderCheck:
    """The result of testing one provider."""

    name: str
    loads: bool
    problem: str = ""
    fix: str = ""

    @classmethod
    def of(cls, kind: type[Provider]) -> ProviderCheck:
        """Test one of the providers that seg-run supports."""
        try:
            provider = kind(RunOptions(provider=kind.name, threads=1))
            provider.settle(runtime_module())
            return _computes(open_on(provider, _tiny_model()), kind.name)
        except SegError as error:
            return cls(kind.name, False, error.problem, error.advice)

    @classmethod
    def of_other(cls, ort: Any, name: str) -> ProviderCheck:
        """Test a provider of ONNX Runtime that seg-run does not support, by its name in ONNX Runtime."""
        options = ort.SessionOptions()
        options.log_severity_level = 4
        try:
            with quiet(ort), contextlib.redirect_stdout(io.StringIO()):
                session = ort.InferenceSession(_tiny_model(), options, providers=[name], enable_fallback=0)
            if session.get_providers()[0] != name:
                return cls(name, False, "ONNX Runtime did not start it")
            return _computes(session, name)
        except Exception as error:  # ONNX Runtime's many exception classes have no common base class
            return cls(name, False, _one_line(error))


def _tiny_model() -> bytes:
    """Return the model `y = Conv(x, w)`, float32 x `(1, 1, 3, 3)` -> y `(1, 1, 1, 1)`. Field numbers: see
    onnx.proto."""
    weight = b"".join(_number(1, n) for n in (1, 1, 3, 3)) + _number(2, 1) + _part(8, b"w")
    weight += _part(9, struct.pack("<9f", *range(1, 10)))
    node = _part(1, b"x") + _part(1, b"w") + _part(2, b"y") + _part(4, b"Conv")
    graph = _part(1, node) + _part(2, b"probe") + _part(5, weight)
    graph += _part(11, _value(b"x", 3)) + _part(12, _value(b"y", 1))
    return _number(1, 8) + _part(7, graph) + _part(8, _number(2, 17))  # IR 8, opset 17


def _computes(session: Any, name: str) -> ProviderCheck:
    try:
        answer = float(session.run(None, {"x": np.ones((1, 1, 3, 3), np.float32)})[0].item())
    except Exception as error:  # as above
        return ProviderCheck(name, False, f"it loads but cannot run a model ({_one_line(error)})", "update the driver")
    if answer != SUM:
        return ProviderCheck(name, False, f"it loads but computes {answer} instead of {SUM}", "update the driver")
    return ProviderCheck(name, True)


def _one_line(error: Exception) -> str:
    """Return the message as one line, without the location in ONNX Runtime's source."""
    return re.sub(r"^/\S+:\d+ .*?\) ", "", " ".join(str(error).split()))


def _value(name: bytes, side: int) -> bytes:
    """Return a ValueInfoProto of a float32 tensor `(1, 1, side, side)`."""
    shape = b"".join(_part(1, _number(1, n)) for n in (1, 1, side, side))
    return _part(1, name) + _part(2, _part(1, _number(1, 1) + _part(2, shape)))


def _part(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + _varint(value >> 7)
