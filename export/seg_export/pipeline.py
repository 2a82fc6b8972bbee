"""model.pt -> model.onnx: graph, stamp, parity. Nothing is written unless parity holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from seg_runtime.engine.session import Session
from seg_runtime.model.contract import Contract
from seg_runtime.pipeline import Float
from seg_runtime.segmenter import Segmenter
from seg_runtime.support.atomic import write_atomic
from seg_runtime.support.errors import SegError
from seg_runtime.version import VERSION
from seg_toolkit.checkpoints.checkpoint import Checkpoint, weights_sha256
from seg_toolkit.evaluation.infer import torch_infer
from seg_toolkit.networks import Network

from .graph.from_torch import to_onnx
from .graph.stamp import stamped
from .proof.golden import golden
from .proof.parity import Limits, Parity, compare, enough, generated_windows, require
from .proof.pictures import Picture, image_windows, pictures, some
from .steps.batching import check_batch, in_batches
from .steps.hostready.prove import HostForm, hosted
from .steps.precision.make import Precision, Tolerance, Watch, in_precision
from .steps.rewrite.apply import layers_of, rewritten
from .steps.rewrite.default import default_table
from .steps.rewrite.fastest import fastest

GENERATED = 4  # windows compared when no images are given
MAX_IMAGES = 8  # of a folder, evenly spaced

Count = Callable[[int, int], None]


@dataclass(frozen=True)
class Exported:
    """What came of an export."""

    content: bytes
    contract: Contract
    parity: Parity
    golden_bytes: int
    """Of the content, for the golden samples."""


@dataclass(frozen=True)
class Watching:
    """Who is told what an export is doing; nobody unless asked. Counts are of what is done, and of all."""

    windows: Count = lambda done, total: None
    """Compared with torch."""
    hosts: Count = lambda done, total: None
    """Images compared, of a host-ready file."""
    batches: Count = lambda done, total: None
    """Windows compared, of a batch of several."""
    forms: Count = lambda done, total: None
    """Measurements, for `tune`."""
    precision: Watch = lambda what, done, total: None
    """What is being done for it, first."""
    parity: Callable[[Parity, Contract], None] = lambda parity, contract: None
    """The figures, before they are judged."""
    cost: Callable[[str, Contract], None] = lambda table, contract: None
    """Figures of another precision, before they are judged."""
    tuned: Callable[[str], None] = lambda table: None
    """What was measured, for a person."""


def export(
    checkpoint: Checkpoint, images: Path | None = None, input_size: int | str | None = None, limits: Limits | None = None,
    host: HostForm | None = None, golden_images: Path | None = None, precision: Precision | None = None,
    optimize: bool = False, tune: bool = False, batch: int = 1, watching: Watching = Watching(),
) -> Exported:  # fmt: skip
    """Export a checkpoint and prove the very bytes that will be written.

    Args:
        checkpoint: of seg-train.
        images: folder of real images to compare on, see `pictures`; None compares on generated ones.
        input_size: side of the window in px, or one for each axis with commas, another than the checkpoint's.
        limits: of parity.
        host: make a host-ready file, and of what kind.
        golden_images: folder of real images of which crops go into the file as golden samples.
        precision: make the network one of int8 or fp16, and from what; None for fp32.
        optimize: rewrite the graph by the default table, see `rewrite`; int8 always is, by a table of its own.
        tune: rewrite it by what is fastest on this machine.
        batch: windows that the file takes in one call.
        watching: told what is being done.

    Raises:
        ParityError: the file would not agree with torch, or the host-ready form or a batch with the runtime of one window.
        DataError: a folder without images.
        SegError: an invalid input size, a batch that cannot be, or a graph that cannot be made.
    """
    _check_form(checkpoint.contract, host, precision, optimize or tune)
    real, kept = _pictures(images, checkpoint, "--images"), _pictures(golden_images, checkpoint, "--golden")
    if precision:
        _pictures(precision.calibration, checkpoint, "--calibration")  # refused before the long work
    model, limits = checkpoint.build(), limits or Limits()
    contract = resized(checkpoint.contract, model, input_size)
    check_batch(batch, contract, host is not None)
    graph, name = to_onnx(model, contract), precision.name if precision else "fp32"
    graph, forms = _tuned(graph, watching) if tune else _rewritten(graph, name, optimize)
    contract = _with_export(contract, graph, weights_sha256(model), forms)
    samples = list(_samples(real, contract))
    session = Session(stamped(graph, contract), provider="cpu")
    reference = torch_infer(model, torch.device("cpu"))
    parity = compare(reference, session.run, samples, contract, lambda done: watching.windows(done, len(samples)))
    contract = replace(contract, parity={**parity.as_dict(limits), "images": "real" if real else "generated"})
    watching.parity(parity, contract)
    require(parity, limits, "the ONNX model")
    answers, tolerance = reference, Tolerance(limits.error_of_range)
    if precision:
        form = in_precision(graph, session, contract, precision, checkpoint, watching.precision, watching.cost)
        graph, session, contract, tolerance = form.graph, form.session, form.contract, form.tolerance
        answers = form.reference or reference
    if batch > 1:
        graph, session, contract = in_batches(graph, session, contract, batch, samples, limits, watching.batches)
    if host:
        graph, contract = hosted(graph, session, contract, host, real, watching.hosts)
    samples_text = golden(contract, answers, kept, tolerance.limit, tolerance.rms_limit).to_text()
    content = stamped(graph, contract, samples_text)
    _test(content, None if host else session, samples[0])
    return Exported(content, contract, parity, len(samples_text))


def _pictures(folder: Path | None, checkpoint: Checkpoint, option: str) -> list[Picture]:
    return pictures(folder, checkpoint.contract, checkpoint.reader, option) if folder else []


def _check_form(contract: Contract, host: HostForm | None, precision: Precision | None, rewrite: bool) -> None:
    """Refuse what there is for images only, or for labels only: a host-ready graph ends in them, a precision is judged by them.

    Raises:
        SegError: asked for a model of volumes or a regression; names the options.
    """
    volumes, values = len(contract.geometry.input_shape) > 2, "int8" not in contract.answer.precisions
    asked = {
        "--host-ready": host and (volumes or values),
        "--precision": precision and (volumes or values),
        "--optimize or --tune": rewrite and volumes,
    }
    if odd := [option for option, wish in asked.items() if wish]:
        kind = "a model of volumes" if volumes else "a regression"
        raise SegError(f"{' and '.join(odd)} for {kind}", "a plain fp32 export", "leave it out")


def _tuned(graph: onnx.ModelProto, watching: Watching) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The graph in the forms that are fastest here, and what provenance says of them."""
    best = fastest(graph, watching.forms)
    watching.tuned(best.table())
    return best.graph, best.provenance()


def _rewritten(graph: onnx.ModelProto, precision: str, optimize: bool) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """The graph in the forms of the default table where they were asked for, and what provenance says of them."""
    if not (optimize or precision == "int8"):
        return graph, {"rewritten": {}}
    table = default_table(layers_of(graph), precision)
    return rewritten(graph, table), {"rewritten": table}


def _with_export(contract: Contract, graph: onnx.ModelProto, weights_sha256: str, forms: Mapping[str, Any]) -> Contract:
    """The contract with the versions that made the graph, and what is known of layers that were rewritten."""
    facts: dict[str, Any] = {
        "weights_sha256": weights_sha256,
        "exported_with": {"seg-edge": VERSION, "torch": str(torch.__version__), "onnx": onnx.__version__},
        "opset": max(o.version for o in graph.opset_import if o.domain in ("", "ai.onnx")),
        "ir_version": graph.ir_version,
        **forms,
    }
    return replace(contract, provenance={**contract.provenance, **facts})


def write(exported: Exported, target: Path) -> None:
    """Put an export at `target` in one step."""
    write_atomic(target, lambda file: file.write(exported.content))


def resized(contract: Contract, model: Network, input_size: int | str | None) -> Contract:
    """The contract for a window of another size.

    Raises:
        SegError: not a size that every pooling of the network divides; names the nearest.
    """
    if input_size is None:
        return contract
    shape = model.window(str(input_size))
    return replace(
        contract, geometry=replace(contract.geometry, input_shape=shape, output_shape=model.output_shape(shape))
    )


def _samples(real: Sequence[Picture], contract: Contract) -> Iterable[Float]:
    if real:
        return image_windows(some(real, MAX_IMAGES), contract)
    return generated_windows(contract, enough(GENERATED, 1, contract))


def _test(content: bytes, compared: Session | None, window: Float) -> None:
    """The very bytes, as a device will test them; the stamp must not have touched the graph that was compared, if any."""
    with Segmenter(content, provider="cpu", self_test=True) as final:
        if compared and not np.array_equal(compared.run(window), final.session.run(window)):
            raise SegError("the stamped file answers otherwise than the compared one", "the same bits", "report this")


def report_dict(exported_contract: Contract, model: Path, target: Path) -> dict[str, Any]:
    """The machine-readable report of an export."""
    return {
        "model": str(model),
        "target": str(target),
        "parity": dict(exported_contract.parity),
        "provenance": dict(exported_contract.provenance),
    }
