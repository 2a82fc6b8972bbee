"""Which options of seg-export fit together, and which models they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from seg_runtime.model import HOST_DTYPES, PRECISIONS, Contract
from seg_runtime.support.capabilities import Rule, check

from .options import ExportOptions


@dataclass(frozen=True)
class _Case:
    options: ExportOptions
    contract: Contract | None
    """Of the model; None as long as it is not known."""


_Condition = Callable[[_Case], bool]


def _options(holds: Callable[[ExportOptions], bool]) -> _Condition:
    return lambda case: holds(case.options)


def _model(holds: Callable[[Contract, ExportOptions], bool]) -> _Condition:
    """A condition on the model; it holds as long as the model is not known."""
    return lambda case: case.contract is None or holds(case.contract, case.options)


_PRECISION = _options(lambda o: o.precision != "fp32")
_CALIBRATION = _options(lambda o: o.calibration is not None)
_REDUCE_RANGE = _options(lambda o: o.reduce_range is not None)
_OPTIMIZE = _options(lambda o: o.optimize)
_TUNE = _options(lambda o: o.tune)
_BATCH = _options(lambda o: o.batch != 1)
_HOST_READY = _options(lambda o: o.host_ready)
_HOST_DTYPE = _options(lambda o: o.host_dtype is not None)
_PROBABILITIES = _options(lambda o: o.host_probabilities)
_CODES = _options(lambda o: o.codes is not None)
_NOT_INT8 = _options(lambda o: o.precision != "int8")
_NOT_FP16 = _options(lambda o: o.precision != "fp16")
_TWO_AXES = _model(lambda c, o: c.geometry.axes == 2)

RULES: Sequence[Rule[_Case]] = (
    Rule("--precision", _PRECISION, _options(lambda o: o.precision in PRECISIONS),
         " or ".join(PRECISIONS), "choose one of them"),
    Rule("--precision", _PRECISION, _model(lambda c, o: o.precision in c.answer.precisions),
         "a model of classes", "leave it out: the cost of a precision is measured in labels"),
    Rule("--precision", _PRECISION, _TWO_AXES,
         "a model of images", "leave it out: models of volumes compute in fp32"),
    Rule("--precision", _PRECISION, _CALIBRATION,
         "real images", "add --calibration DIR, a folder of images like those that the model will see"),
    Rule("--calibration", _CALIBRATION, _PRECISION,
         "--precision int8 or fp16", "fp32 is not fitted to images", harmless=True),
    Rule("--reduce-range", _REDUCE_RANGE, _options(lambda o: o.precision == "int8"),
         "--precision int8", "it is about the weights of int8", harmless=True),
    Rule("--optimize", _OPTIMIZE, _NOT_INT8, "fp32", "int8 models are always optimized", harmless=True),
    Rule("--optimize", _OPTIMIZE, _options(lambda o: not o.tune or o.precision != "fp32"),
         "an export without --tune", "--tune measures the forms of --optimize, too", harmless=True),
    Rule("--optimize", _OPTIMIZE, _NOT_FP16,
         "fp32", "leave it out: fp16 is for CUDA, which is fastest with the graph as torch exports it"),
    Rule("--optimize", _OPTIMIZE, _TWO_AXES, "a model of images", "leave it out: there are no rewrites for volumes"),
    Rule("--tune", _TUNE, _NOT_INT8, "fp32", "int8 models are always optimized", harmless=True),
    Rule("--tune", _TUNE, _NOT_FP16, "fp32", "leave it out: fp16 is for CUDA, and --tune measures the CPU"),
    Rule("--tune", _TUNE, _TWO_AXES, "a model of images", "leave it out: there are no rewrites for volumes"),
    Rule("--batch", _BATCH, _options(lambda o: o.batch >= 1), "a number from 1", "leave it out for one window at a time"),
    Rule("--batch", _BATCH, _options(lambda o: not o.host_ready),
         "a file of windows", "leave out --batch or --host-ready, whose graph takes one window at a time"),
    Rule("--batch", _BATCH, _options(lambda o: not (o.optimize or o.tune) or o.precision == "int8"),
         "the graph as torch exports it", "leave out --batch, or --optimize and --tune, whose layers lay out one window"),
    Rule("--batch", _BATCH, _model(lambda c, o: c.geometry.method == "tile"),
         "the geometry tile", "leave it out: this model answers every image by one window"),
    Rule("--host-ready", _HOST_READY, _model(lambda c, o: "host-ready" in c.answer.forms),
         "a model of classes", "leave it out: such a file gives labels"),
    Rule("--host-ready", _HOST_READY, _TWO_AXES, "a model of images", "leave it out for a model of volumes"),
    Rule("--host-ready", _HOST_READY, _options(lambda o: o.image_dtype in HOST_DTYPES),
         f"images of {' or '.join(HOST_DTYPES)}", "choose one of them by --host-dtype"),
    Rule("--host-ready", _HOST_READY,
         _model(lambda c, o: (c.input.pixels == "float") == (o.image_dtype == "float32")),
         "images of the kind that the model was trained on",
         "pass --host-dtype float32 for a model of floats, else uint8 or uint16"),
    Rule("--host-ready", _HOST_READY, _model(lambda c, o: c.geometry.method == "tile" or o.image_dtype != "float32"),
         "integers where images are resized, which is exact in every host",
         "train on images of 8 or 16 bits, or with --geometry tile"),
    Rule("--host-dtype", _HOST_DTYPE, _HOST_READY,
         "--host-ready", "it is about files that take whole images", harmless=True),
    Rule("--host-probabilities", _PROBABILITIES, _HOST_READY,
         "--host-ready", "it is about files that take whole images", harmless=True),
    Rule("--codes", _CODES, _model(lambda c, o: bool(c.classes)), "a model of classes", "leave it out"),
)  # fmt: skip


def check_options(options: ExportOptions, contract: Contract | None = None) -> list[str]:
    """Refuse options that contradict each other or the model.

    Args:
        options: of the export.
        contract: of the checkpoint; None checks what does not depend on it.

    Returns:
        A note for each option that does nothing.

    Raises:
        SegError: the first option that does not fit, what it needs and what to do.
    """
    return check(RULES, _Case(options, contract))
