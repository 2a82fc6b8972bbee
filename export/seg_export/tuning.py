"""`seg-edge tune`: a plain model file in, the same model in the forms that are fastest on this machine out; no torch.

    model.onnx -> self-test -> measure -> rewrite -> parity with the file as it was -> self-test -> model.tuned.onnx

What the file says about itself stays in it: contract, golden samples and the parity that was measured at export.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.typing import NDArray
from seg_runtime.cli.options import PATH, Options, option
from seg_runtime.model import GOLDEN_KEY, Content, Contract, ModelFile
from seg_runtime.support import (
    ModelError,
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

WINDOWS = 4  # made-up ones, on which the tuned file is compared with the file as it was


@dataclass(frozen=True, kw_only=True)
class TuneOptions(Options):
    """The options of `seg-edge tune`."""

    out: Path | None = option(
        None, "The file to write, or a folder for MODEL.tuned.onnx [default: beside MODEL].", PATH, flag="-o,--out"
    )
    overwrite: bool = option(False, "Replace the file if it exists.")
    threads: int | None = option(
        None, "Threads of the inference [default: all that this process may use].", click.IntRange(1)
    )
    require_signature: Path | None = option(
        None,
        "Refuse a model unless MODEL.sig beside it is its signature by this public key (PEM).",
        PATH,
        metavar="KEY.pub",
    )

    def target(self, model: Path) -> Path:
        """The file that is written for a model: `out` where its name ends in .onnx, else MODEL.tuned.onnx in that folder."""
        if self.out is not None and self.out.suffix.lower() == ".onnx" and not self.out.is_dir():
            return self.out
        return (model.parent if self.out is None else self.out) / f"{model.stem}.tuned.onnx"


@dataclass(frozen=True)
class Source:
    """A file that can be tuned, and what it answers here.

    Attributes:
        name: of the file.
        sha256: of the file.
        contract: in it.
        graph: in it.
        golden: text of its golden samples, empty where it has none.
        windows: `(1, C, *input_shape)` each, made up.
        logits: `(K, *output_shape)` of each.
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
    """A rewritten file that answers as its source does.

    Attributes:
        content: of the file.
        parity: with the source.
        self_test: figures of the self-test, None where the source has no golden samples.
    """

    content: bytes
    parity: Parity
    self_test: Mapping[str, Any] | None

    def table(self) -> str:
        """The figures for a person."""
        figures = self.parity.table("the tuned file", "the file as it was")
        if self.self_test is None:
            return figures
        error = "{max_error_of_range:.3e} of the range from torch's answers  (limit {limit:.0e})"
        return f"{figures}\ngolden samples: {error.format(**self.self_test)}"


def tune(
    model: Path, options: TuneOptions, watch: Progress = lambda what, done, total: None
) -> tuple[str, dict[str, Any]]:
    """Write a model in the forms that are fastest on this machine, after proving that it answers as before.

    Nothing is written where no form is worth it, which is no error.

    Args:
        model: the file to tune.
        options: where to write, and how.
        watch: see `Progress`.

    Returns:
        What came of it, for a person and ready for JSON.

    Raises:
        SegError: the extra `tune` is missing, the target is there already or cannot be written.
        ModelError: a file that is damaged, not signed as required, foreign, host-ready, not of fp32, or rewritten already.
        SelfTestError: this device does not answer as torch did, even with the file as it is.
        ParityError: the rewritten network answers otherwise; nothing is written.
    """
    require_extra("tune", "onnx", "onnx_ir", "onnxscript")
    content = ModelFile(model).take()
    if options.require_signature is not None:
        content.check_signed(options.require_signature)
    _plain_contract(content)
    target = options.target(model)
    _check_target(model, target, options.overwrite)
    source = read_source(content, options.threads)
    del content  # its bytes must not lie in memory beside the sessions that are measured
    found = _fastest(source, watch, options.threads)
    report = {"model": {"path": str(model), "sha256": source.sha256}, "written": None, **found.as_dict()}
    if not found.forms:
        return f"{found.table()}\nnothing was written: {model} is as fast as it gets here", report
    made = prove(source, found.graph, found.provenance(), watch, options.threads)
    write_atomic(target, lambda file: file.write(made.content))
    notes = _notes(source, model, target)
    report |= {"written": str(target), "parity": made.parity.as_dict(), "notes": notes}
    report |= {"self_test": made.self_test}
    size = f"{len(made.content) / 1e6:.1f} MB"
    lines = [found.table(), made.table(), *(f"note: {note}" for note in notes), f"wrote {target} ({size})"]
    return "\n".join(lines), report


def _plain_contract(content: Content) -> Contract:
    """The contract of a file that can be tuned.

    Raises:
        ModelError: it is host-ready, takes a batch, is not of fp32, or rewritten already.
    """
    contract, name = content.contract, content.name
    if contract.file.whole_images:
        fix = "export it without --host-ready, or on this machine with --host-ready --tune"
        raise ModelError(f"{name} is {contract.file.kind}", "a window file", fix)
    if contract.file.batch != 1:
        problem = f"{name} takes {contract.file.batch} windows in one call"
        raise ModelError(problem, "one", "tune the file that was exported without --batch")
    if contract.file.precision != "fp32":
        problem = f"{name} computes in {contract.file.precision}"
        raise ModelError(problem, "fp32", "tune the fp32 file of this model; what is int8 was rewritten at export")
    if contract.provenance.get("rewritten"):
        origin = contract.provenance.get("tuned_from")
        fix = (
            f"tune the file with the sha256 {origin}, of which it was made"
            if origin
            else "export it without --optimize"
        )
        raise ModelError(f"{name} was rewritten before", "the network as torch exports it", fix)
    return contract


def _check_target(model: Path, target: Path, overwrite: bool) -> None:
    """Refuse a target before a minute of measuring.

    Raises:
        SegError: it is the model itself, or there already, or cannot be written.
    """
    if os.path.realpath(model) == os.path.realpath(target) or (target.exists() and target.samefile(model)):
        raise SegError(f"{target} is the model itself", "a file of its own", "choose another --out")
    if target.exists() and not target.is_dir() and not overwrite:
        raise SegError(f"{target} is there already", "", "pass --overwrite to replace it, or choose another --out")
    check_writable(target)


def read_source(content: Content, threads: int | None = None) -> Source:
    """What a file holds and what it answers here, its golden samples first.

    Args:
        content: of the file.
        threads: of the inference; None takes all that this process may use.

    Raises:
        SelfTestError: this device does not answer as torch did.
        ModelError: a file that cannot be tuned, or that ONNX Runtime or onnx cannot read.
    """
    import onnx

    contract = _plain_contract(content)
    golden = bytes(content.onnx.metadata.get(GOLDEN_KEY, b"")).decode("ascii", "replace")
    windows = list(generated_windows(contract, WINDOWS))
    logits, _ = answers_of(content.data, windows, threads, self_test=bool(golden))
    try:
        graph = onnx.load_model_from_string(content.data)
    except Exception as error:  # protobuf raises its own kinds
        raise ModelError(f"{content.name} cannot be read ({error})", "", "copy or export it again") from error
    return Source(content.name, content.sha256, contract, graph, golden, windows, logits)


def prove(
    source: Source, graph: onnx.ModelProto, provenance: Mapping[str, Any],
    watch: Progress = lambda what, done, total: None, threads: int | None = None,
) -> TunedFile:  # fmt: skip
    """The file of a rewritten graph, after proving the very bytes.

    Args:
        source: whose answers it must give.
        graph: the rewritten one.
        provenance: what is new in it, the forms of the layers among it.
        watch: see `Progress`.
        threads: of the inference.

    Raises:
        ParityError: its logits are not those of the source within the limits of an export, or its answers to the golden
            samples not torch's.
    """
    from .graph import stamped

    kept, windows = source.contract, source.windows
    contract = replace(kept, provenance={**kept.provenance, **provenance, "tuned_from": source.sha256})
    session = opened(graph, contract, threads)
    answers = list(logits_of(session, windows))
    del session  # before the next one, for the sake of memory
    parity = compare(source.logits, answers, contract, lambda done: watch("comparing windows", done, len(windows)))
    parity.require("the tuned file", source.name)
    contract = replace(contract, parity={**kept.parity, "tuned": parity.as_dict()})
    content = stamped(graph, contract, source.golden)
    try:
        test = prove_file(content, windows[0], answers[0], threads, self_test=bool(source.golden))
    except SelfTestError as error:
        failures = "; ".join(error.report["self_test"]["failures"])
        problem = f"the tuned file does not answer the golden samples as torch did ({failures})"
        raise ParityError(problem, "the answers stored at export", "nothing was written; report this model") from error
    return TunedFile(content, parity, test["self_test"] if test else None)


def _fastest(source: Source, watch: Progress, threads: int | None) -> Fastest:
    from .steps.rewrite import fastest

    try:
        return fastest(source.graph, lambda done, total: watch("measuring forms", done, total), threads)
    except (SegError, MemoryError):
        raise
    except Exception as error:  # onnx, onnxscript and protobuf raise their own kinds
        raise ModelError(
            f"{source.name} cannot be rewritten ({error})", "a graph of seg-export", "export it again"
        ) from error


def _notes(source: Source, model: Path, target: Path) -> list[str]:
    notes = []
    if not source.golden:
        notes.append(
            f"{source.name} has no golden samples: the tuned file was compared with it alone, and not with torch"
        )
    if any(path.with_name(path.name + ".sig").exists() for path in (model, target)):
        notes.append(f"a signature covers the bytes of one file: {target.name} needs a new one, {target.name}.sig")
    return notes
