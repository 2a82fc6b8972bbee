"""Rules for options of seg-export: one table for the command line, one for the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seg_runtime.model import HOST_DTYPES, PRECISIONS, Contract, Identity
from seg_runtime.support import ContractError, ModelError, Rule, check

from .options import ExportOptions


class _Model(NamedTuple):
    """Options and the contract of the model."""

    options: ExportOptions
    contract: Contract


def _is_identity(name: str = "", version: str = "") -> bool:
    try:
        Identity(name, version)
    except ContractError:
        return False
    return True


RULES: Sequence[Rule[ExportOptions]] = (
    Rule("--precision", lambda o: o.precision != "fp32", lambda o: o.precision in PRECISIONS,
         " or ".join(PRECISIONS), "choose one of them"),
    Rule("--precision", lambda o: o.precision != "fp32", lambda o: o.calibration is not None,
         "real images", "add --calibration DIR with images like those that the model will segment"),
    Rule("--calibration", lambda o: o.calibration is not None, lambda o: o.precision != "fp32",
         "--precision int8 or fp16", "fp32 needs no calibration", harmless=True),
    Rule("--reduce-range", lambda o: o.reduce_range is not None, lambda o: o.precision == "int8",
         "--precision int8", "only int8 has quantized weights", harmless=True),
    Rule("--optimize", lambda o: o.optimize, lambda o: o.precision != "int8",
         "fp32", "int8 models are always optimized", harmless=True),
    Rule("--optimize", lambda o: o.optimize, lambda o: not o.tune or o.precision != "fp32",
         "an export without --tune", "--tune includes the rewrites of --optimize", harmless=True),
    Rule("--optimize", lambda o: o.optimize, lambda o: o.precision != "fp16",
         "fp32", "leave out --optimize, since fp16 is for CUDA, which is fastest with the graph that PyTorch exports"),
    Rule("--tune", lambda o: o.tune, lambda o: o.precision != "int8",
         "fp32", "int8 models are always optimized", harmless=True),
    Rule("--tune", lambda o: o.tune, lambda o: o.precision != "fp16",
         "fp32", "leave out --tune, since fp16 is for CUDA and --tune measures the CPU"),
    Rule("--batch", lambda o: o.batch != 1, lambda o: o.batch >= 1,
         "a number from 1", "leave out --batch for one window at a time"),
    Rule("--batch", lambda o: o.batch != 1, lambda o: not o.host_ready,
         "a file of windows", "leave out --batch or --host-ready, since a host-ready graph takes one window at a time"),
    Rule("--batch", lambda o: o.batch != 1, lambda o: not (o.optimize or o.tune) or o.precision == "int8",
         "the graph that PyTorch exports", "leave out --batch, or --optimize and --tune, since rewritten layers are made for one window"),
    Rule("--host-ready", lambda o: o.host_ready, lambda o: o.image_dtype in HOST_DTYPES,
         f"images of {' or '.join(HOST_DTYPES)}", "choose one of them with --host-dtype"),
    Rule("--host-dtype", lambda o: o.host_dtype is not None, lambda o: o.host_ready,
         "--host-ready", "only host-ready files take whole images", harmless=True),
    Rule("--host-probabilities", lambda o: o.host_probabilities, lambda o: o.host_ready,
         "--host-ready", "only host-ready files take whole images", harmless=True),
    Rule("--name", lambda o: o.name is not None, lambda o: bool(o.name) and _is_identity(name=o.name or ""),
         "1 to 64 printable characters", "choose a short name, such as liver-ct"),
    Rule("--model-version", lambda o: o.model_version is not None,
         lambda o: bool(o.model_version) and _is_identity(version=o.model_version or ""),
         "numbers with dots", "choose one such as 1.2.0"),
)  # fmt: skip
"""Rules for the command line, checked before anything is read."""

MODEL_RULES: Sequence[Rule[_Model]] = (
    Rule("--precision", lambda m: m.options.precision != "fp32", lambda m: m.options.precision in m.contract.answer.precisions,
         "a model with classes", "leave out --precision, since its effect is measured on labels"),
    Rule("--precision", lambda m: m.options.precision != "fp32", lambda m: m.contract.geometry.axes == 2,
         "a model of images", "leave out --precision, since models of volumes compute in fp32"),
    Rule("--optimize", lambda m: m.options.optimize, lambda m: m.contract.geometry.axes == 2,
         "a model of images", "leave out --optimize, since there are no rewrites for volumes"),
    Rule("--tune", lambda m: m.options.tune, lambda m: m.contract.geometry.axes == 2,
         "a model of images", "leave out --tune, since there are no rewrites for volumes"),
    Rule("--batch", lambda m: m.options.batch != 1, lambda m: m.contract.geometry.method == "tile",
         "the geometry tile", "leave out --batch, since this model segments each image in one window"),
    Rule("--host-ready", lambda m: m.options.host_ready, lambda m: "host-ready" in m.contract.answer.forms,
         "a model with classes", "leave out --host-ready, since a host-ready file returns labels or objects"),
    Rule("--host-probabilities", lambda m: m.options.host_probabilities and m.options.host_ready,
         lambda m: m.contract.answer.activation != "none",
         "a model with one class per pixel", "leave out --host-probabilities, since a model of objects has no probabilities"),
    Rule("--host-ready", lambda m: m.options.host_ready, lambda m: m.contract.geometry.axes == 2,
         "a model of images", "leave out --host-ready for a model of volumes"),
    Rule("--host-ready", lambda m: m.options.host_ready,
         lambda m: (m.contract.input.pixels == "float") == (m.options.image_dtype == "float32"),
         "images of the kind that the model was trained on",
         "use --host-dtype float32 for a model of floats, else uint8 or uint16"),
    Rule("--host-ready", lambda m: m.options.host_ready,
         lambda m: m.contract.geometry.method == "tile" or m.options.image_dtype != "float32",
         "integer images if they are resized, since only integer resizing is exact in every program",
         "train on images of 8 or 16 bits, or with --geometry tile"),
    Rule("--codes", lambda m: m.options.codes is not None, lambda m: bool(m.contract.classes),
         "a model with classes", "leave out --codes"),
    Rule("--model-version", lambda m: m.options.model_version is not None,
         lambda m: bool(m.options.name or m.contract.identity.name), "a name of the model", "add --name"),
)  # fmt: skip
"""Rules that depend on the model, checked when its checkpoint is read."""


def check_options(options: ExportOptions) -> list[str]:
    """Check that options do not contradict each other.

    Returns:
        A note for each option that does nothing.

    Raises:
        OptionsError: for the first option that does not fit.
    """
    return check(RULES, options)


def check_model(options: ExportOptions, contract: Contract) -> None:
    """Check that options fit a model.

    Raises:
        ModelError: for the first option that does not fit.
    """
    check(MODEL_RULES, _Model(options, contract), ModelError)
