"""`seg-edge tune`: rewrite a model file into the forms that are fastest on this machine, without PyTorch.

    model.onnx -> self-test -> measure -> rewrite -> parity with the original file -> self-test -> model.tuned.onnx

The file keeps its contract, its golden samples and the parity that was measured at export.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.cli.options import PATH, RequirementOptions, option, threads_option
from seg_runtime.model import GOLDEN_KEY, Content, Contract, ModelFile
from seg_runtime.support import (
    ModelError,
    OptionsError,
    ParityError,
    SegError,
    SelfTestError,
    check_writable,
    require_extra,
    write_atomic,
)

from .options import Progress
from .proof import Parity, answers_of, compare, generated_windows, logits_of, opened, prove_file

if TYPE_CHECKING:
    import onnx

    from .steps.rewrite import Fastest

WINDOWS = 4  # generated windows for comparing the tuned file with the original file


@dataclass(frozen=True, kw_only=True)
class TuneOptions(RequirementOptions):
    """Options of `seg-edge tune`."""

    out: Path | None = option(
        None, "The file to write, or a folder for MODEL.tuned.onnx [default: the folder of MODEL].", PATH, flag="-o,--out",
        common=True,
    )  # fmt: skip
    overwrite: bool = option(False, "Replace the file if it exists.", common=True)
    threads: int | None = threads_option(common=True)

    def target(self, model: Path) -> Path:
        """Path of the output for a model: `out` if it ends in .onnx, else MODEL.tuned.onnx in the folder `out`."""
        if self.out is not None and self.out.suffix.lower() == ".onnx" and not self.out.is_dir():
            return self.out
        return (model.parent if self.out is None else self.out) / f"{model.stem}.tuned.onnx"


@dataclass(frozen=True)
class Source:
    """A file that can be tuned, and its results on this machine.

    Attributes:
        name: name of the file.
        sha256: SHA-256 of the file.
        contract: contract in the file.
        graph: graph in the file.
        golden: text of its golden samples; empty for none.
        windows: generated windows, `(1, C, *input_shape)` each.
        logits: logits of the windows, `(K, *output_shape)` each.
    """

    name: str
    sha256: str
    contract: Contract
    graph: onnx.ModelProto
    golden: str
    windows: list[NDArray[np.float32]]
    logits: list[NDArray[np.float32]]


@dataclass(frozen=True)
class TunedFile:
    """A rewritten file that agrees with its source.

    Attributes:
        content: content of the file.
        parity: parity with the source.
        self_test: figures of the self-test; None if the source has no golden samples.
    """

    content: bytes
    parity: Parity
    self_test: Mapping[str, Any] | None

    def table(self) -> str:
        """Format the figures for the user."""
        figures = self.parity.table("the tuned file", "the original file")
        if self.self_test is None:
            return figures
        error = "error {max_error_of_range:.3e} of the range  (limit {limit:.0e})"
        return f"{figures}\ngolden samples: {error.format(**self.self_test)}"


def tune(
    model: Path, options: TuneOptions, watch: Progress = lambda what, done, total: None
) -> tuple[str, dict[str, Any]]:
    """Write a model in the forms that are fastest on this machine, after proving that its results are the same.

    If no form is worth it, nothing is written and no error is raised.

    Args:
        model: file to tune.
        options: options of the command.
        watch: see `Progress`.

    Returns:
        Report for the user, and report for JSON.

    Raises:
        SegError: if the extra `tune` is missing, or the target exists or cannot be written.
        ModelError: if the file is damaged, not as required, not of seg-edge, host-ready, not fp32, or rewritten.
        SelfTestError: if the original file fails its self-test on this machine.
        ParityError: if the rewritten network gives other results; nothing is written.
    """
    require_extra("tune", "onnx", "onnx_ir", "onnxscript")
    content = ModelFile(model).take(options.require)
    _plain_contract(content)
    target = options.target(model)
    _check_target(model, target, options.overwrite)
    source = read_source(content, options.threads)
    del content  # free the memory before sessions are measured
    found = _fastest(source, watch, options.threads)
    report = {"model": {"path": str(model), "sha256": source.sha256}, "written": None, **found.as_dict()}
    if not found.forms:
        return f"{found.table()}\nnothing was written: no form of {model} is faster on this machine", report
    made = prove(source, found.graph, found.provenance(), watch, options.threads)
    write_atomic(target, lambda file: file.write(made.content))
    notes = _notes(source, model, target)
    report |= {"written": str(target), "parity": made.parity.as_dict(), "notes": notes}
    report |= {"self_test": made.self_test}
    size = f"{len(made.content) / 1e6:.1f} MB"
    lines = [found.table(), made.table(), *(f"note: {note}" for note in notes), f"wrote {target} ({size})"]
    return "\n".join(lines), report


def _plain_contract(content: Content) -> Contract:
    """Check that a file can be tuned, and return its contract.

    Raises:
        ModelError: if it is host-ready, takes a batch, is not fp32, or is already rewritten.
    """
    contract, name = content.contract, content.name
    if contract.file.whole_images:
        advice = "export the model without --host-ready, or export it on this machine with --host-ready --tune"
        raise ModelError(f"{name} is {contract.file.kind}", "a window file", advice)
    if contract.file.batch != 1:
        problem = f"{name} takes {contract.file.batch} windows in one call"
        raise ModelError(problem, "one window", "tune a file that was exported without --batch")
    if contract.file.precision != "fp32":
        problem = f"{name} computes in {contract.file.precision}"
        raise ModelError(problem, "fp32", "tune the fp32 file of this model; int8 files are rewritten at export")
    if contract.provenance.get("rewritten"):
        origin = contract.provenance.get("tuned_from")
        advice = (
            f"tune the original file, which has the SHA-256 {origin}"
            if origin
            else "export the model without --optimize"
        )
        raise ModelError(f"{name} is already rewritten", "the graph that PyTorch exports", advice)
    return contract


def _check_target(model: Path, target: Path, overwrite: bool) -> None:
    """Check the target before measuring.

    Raises:
        SegError: if it is the model itself, exists, or cannot be written.
    """
    if os.path.realpath(model) == os.path.realpath(target) or (target.exists() and target.samefile(model)):
        raise OptionsError(f"{target} is the model itself", "", "choose another --out")
    if target.exists() and not target.is_dir() and not overwrite:
        raise SegError(f"{target} exists already", "", "replace it with --overwrite, or choose another --out")
    check_writable(target)


def read_source(content: Content, threads: int | None = None) -> Source:
    """Run the self-test of a file, and return its content and its results on this machine.

    Args:
        content: content of the file.
        threads: number of threads; None for all that this process may use.

    Raises:
        SelfTestError: if the self-test fails.
        ModelError: if the file cannot be tuned, or ONNX Runtime or onnx cannot read it.
    """
    import onnx

    contract = _plain_contract(content)
    golden = bytes(content.onnx.metadata.get(GOLDEN_KEY, b"")).decode("ascii", "replace")
    windows = list(generated_windows(contract, WINDOWS))
    logits, _ = answers_of(content.data, windows, threads, self_test=bool(golden))
    try:
        graph = onnx.load_model_from_string(content.data)
    except Exception as error:  # protobuf raises various errors
        raise ModelError(f"{content.name} cannot be read ({error})", "", "copy or export the file again") from error
    return Source(content.name, content.sha256, contract, graph, golden, windows, logits)


def prove(
    source: Source, graph: onnx.ModelProto, provenance: Mapping[str, Any],
    watch: Progress = lambda what, done, total: None, threads: int | None = None,
) -> TunedFile:  # fmt: skip
    """Make the file of a rewritten graph and prove its bytes.

    Args:
        source: source with which the file must agree.
        graph: rewritten graph.
        provenance: new entries of the provenance, such as the forms of the layers.
        watch: see `Progress`.
        threads: number of threads.

    Raises:
        ParityError: if its logits differ from the source by more than the limits of an export, or it fails the self-test.
    """
    from .graph import stamped

    kept, windows = source.contract, source.windows
    contract = replace(kept, provenance={**kept.provenance, **provenance, "tuned_from": source.sha256})
    session = opened(graph, contract, threads)
    answers = list(logits_of(session, windows))
    del session  # frees memory before the next session
    parity = compare(source.logits, answers, contract, lambda done: watch("comparing windows", done, len(windows)))
    parity.require("the tuned file", source.name)
    contract = replace(contract, parity={**kept.parity, "tuned": parity.as_dict()})
    content = stamped(graph, contract, source.golden)
    try:
        test = prove_file(content, windows[0], answers[0], threads, self_test=bool(source.golden))
    except SelfTestError as error:
        failures = "; ".join(error.report["self_test"]["failures"])
        problem = f"the tuned file fails the self-test on the golden samples ({failures})"
        raise ParityError(problem, "", "nothing was written; report this model") from error
    return TunedFile(content, parity, test["self_test"] if test else None)


def _fastest(source: Source, watch: Progress, threads: int | None) -> Fastest:
    from .steps.rewrite import fastest

    try:
        return fastest(source.graph, lambda done, total: watch("measuring forms", done, total), threads)
    except (SegError, MemoryError):
        raise
    except Exception as error:  # onnx, onnxscript and protobuf raise various errors
        raise ModelError(
            f"{source.name} cannot be rewritten ({error})", "a graph of seg-export", "export the model again"
        ) from error


def _notes(source: Source, model: Path, target: Path) -> list[str]:
    notes = []
    if not source.golden:
        notes.append(
            f"{source.name} has no golden samples, so the tuned file was compared only with it and not with PyTorch"
        )
    if any(path.with_name(path.name + ".sig").exists() for path in (model, target)):
        notes.append(f"{target.name} needs a new signature, {target.name}.sig, because its bytes have changed")
    return notes
