"""model.pt -> model.onnx, step by step. Nothing is written unless every proof holds.

build -> (rewrite) -> parity with torch -> (precision) -> (batch) -> (host-ready) -> (steps of other packages)
      -> golden samples -> stamp -> self-test
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import torch
from seg_runtime.model import Contract
from seg_runtime.support import Registry, subclass_of, versions_of, write_atomic
from seg_toolkit.checkpoints import Checkpoint, weights_sha256
from seg_toolkit.networks import Network, torch_infer
from seg_toolkit.planning import with_codes

from .graph import stamped
from .network import to_onnx
from .options import ExportOptions, Watching
from .pictures import pictures
from .proof import Picture, enough, generated_windows, golden_samples, image_windows, logits_of, prove_file, some
from .rules import check_model, check_options
from .steps import Request, State, Step
from .steps.batching import Batching
from .steps.hostready import HostReady
from .steps.precision import InPrecision
from .steps.prove import Proven, TorchParity
from .steps.rewrite import Rewrite

GENERATED = 4  # windows compared where no images are given
MAX_IMAGES = 8  # of a folder, evenly spaced

STEPS: Registry[type[Step]] = Registry("seg_edge.export_steps", "export step", {}, subclass_of(Step))
"""Steps of other packages; our own ones have options of their own."""


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Attributes:
        content: of the file.
        contract: in it, with the figures of all proofs.
        golden_bytes: of the content, for the golden samples.
    """

    content: bytes
    contract: Contract
    golden_bytes: int


def export(
    checkpoint: Checkpoint,
    options: ExportOptions = ExportOptions(),  # noqa: B008 - frozen
    watching: Watching = Watching(),  # noqa: B008 - frozen
) -> Exported:
    """Export a checkpoint and prove the very bytes that will be written.

    Args:
        checkpoint: of seg-train.
        options: see `ExportOptions`.
        watching: who is told what is done.

    Raises:
        SegError: options that contradict each other or the model, an invalid window, or a graph that cannot be made.
        DataError: a folder without images.
        ParityError: the file would not agree with torch, or a form of it with the one before.
    """
    steps, contract = _steps(options), _checked(checkpoint, options, watching)
    model = checkpoint.build()
    contract = _resized(contract, model, options.input_size)
    request = _request(checkpoint, contract, options, watching)
    for step in steps:
        step.check(request)
    state = _built(model, request)
    for step in steps:
        step.apply(state)
    return _finished(state)


def write(exported: Exported, target: Path) -> None:
    """Put an export at `target` in one step."""
    write_atomic(target, lambda file: file.write(exported.content))


def _steps(options: ExportOptions) -> list[Step]:
    """The steps that were asked for, in their order."""
    own: list[tuple[Step, bool]] = [
        (Rewrite(), options.optimize or options.tune or options.precision == "int8"),
        (TorchParity(), True),
        (InPrecision(), options.precision != "fp32"),
        (Batching(), options.batch > 1),
        (HostReady(), options.host_ready),
    ]
    others = [Proven(name, STEPS.get(name, "install the package that offers it")()) for name in options.steps]
    return [*(step for step, wanted in own if wanted), *others]


def _checked(checkpoint: Checkpoint, options: ExportOptions, watching: Watching) -> Contract:
    """The contract of the checkpoint with the codes; refuses options that contradict each other or the model."""
    for note in check_options(options):
        watching.note(note)
    check_model(options, checkpoint.contract)
    return with_codes(checkpoint.contract, options.codes)


def _request(checkpoint: Checkpoint, contract: Contract, options: ExportOptions, watching: Watching) -> Request:
    """What was asked for; refuses folders that do not fit the model."""

    def images_of(folder: Path | None, option: str) -> Sequence[Picture]:
        if folder is None:
            return []
        return pictures(folder, contract, checkpoint.reader, checkpoint.classes, option)

    calibration = options.calibration if options.precision != "fp32" else None
    return Request(
        options, contract, images_of(options.images, "--images"), images_of(options.golden, "--golden"),
        images_of(calibration, "--calibration"), watching,
    )  # fmt: skip


def _resized(contract: Contract, model: Network, input_size: int | str | None) -> Contract:
    """The contract for a window of another size; SegError names the nearest sizes that every pooling can halve."""
    if input_size is None:
        return contract
    shape = model.window(str(input_size))
    geometry = replace(contract.geometry, input_shape=shape, output_shape=model.output_shape(shape))
    return replace(contract, geometry=geometry)


def _built(model: Network, request: Request) -> State:
    """The graph that torch exports, and what it is compared on."""
    contract, images = request.contract, request.images
    graph = to_onnx(model, contract)
    facts = {
        "weights_sha256": weights_sha256(model),
        "exported_with": versions_of(torch=torch, onnx=onnx),
        "opset": max(o.version for o in graph.opset_import if o.domain in ("", "ai.onnx")),
        "ir_version": graph.ir_version,
        "rewritten": {},
    }
    contract = replace(contract, provenance={**contract.provenance, **facts})
    count = enough(GENERATED, 1, contract)
    windows = image_windows(some(images, MAX_IMAGES), contract) if images else generated_windows(contract, count)
    return State(request, graph, contract, list(windows), torch_infer(model, torch.device("cpu")))


def _finished(state: State) -> Exported:
    """The file with its golden samples, after it passed its self-test and gave the bits that were compared."""
    samples = golden_samples(state.contract, state.reference, state.request.golden, state.tolerance).to_text()
    content, sample = stamped(state.graph, state.contract, samples), state.samples[0]
    [logits] = logits_of(state.session, [sample])
    prove_file(content, sample, logits)
    return Exported(content, state.contract, len(samples))
