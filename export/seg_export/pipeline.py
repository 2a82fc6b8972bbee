"""model.pt -> model.onnx, step by step. The file is written only if every proof holds.

build -> (rewrite) -> parity with torch -> (precision) -> (batch) -> (host-ready) -> (steps of other packages)
      -> golden samples -> stamp -> self-test
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import torch
from seg_runtime.model import Contract, Identity
from seg_runtime.support import OptionsError, Registry, subclass_of, versions_of, write_atomic
from seg_toolkit.checkpoints import Checkpoint, weights_sha256
from seg_toolkit.networks import Network, torch_infer
from seg_toolkit.planning import with_codes

from .graph import stamped
from .network import to_onnx
from .options import ExportOptions, Watching
from .pictures import pictures
from .policy import with_policy
from .proof import Picture, enough, generated_windows, golden_samples, image_windows, logits_of, prove_file, some
from .rules import check_model, check_options
from .steps import Request, State, Step
from .steps.batching import Batching
from .steps.hostready import HostReady
from .steps.precision import InPrecision
from .steps.prove import Proven, TorchParity
from .steps.rewrite import Rewrite

GENERATED = 4  # windows to compare if no images are given
MAX_IMAGES = 8  # images of a folder to compare, evenly spaced

STEPS: Registry[type[Step]] = Registry("seg_edge.export_steps", "export step", {}, subclass_of(Step))
"""Steps of other packages. The steps of seg-edge have their own options."""


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Attributes:
        content: content of the file.
        contract: contract in the file, with the figures of all proofs.
        golden_bytes: size of the golden samples in the content.
    """

    content: bytes
    contract: Contract
    golden_bytes: int


def export(
    checkpoint: Checkpoint,
    options: ExportOptions = ExportOptions(),  # noqa: B008 - frozen
    watching: Watching = Watching(),  # noqa: B008 - frozen
) -> Exported:
    """Export a checkpoint and prove the bytes that will be written.

    Args:
        checkpoint: checkpoint of seg-train.
        options: see `ExportOptions`.
        watching: callbacks, see `Watching`.

    Raises:
        SegError: if options contradict each other or the model, the window is invalid, or the graph cannot be exported.
        DataError: if a folder contains no images.
        ParityError: if the file does not agree with PyTorch, or a form with the previous one.
    """
    steps, contract = _steps(options), _checked(checkpoint, options, watching)
    model = checkpoint.build()
    contract = _resized(contract, model, options.input_size)
    request = _request(checkpoint, contract, options, watching)
    for step in steps:
        step.check(request)
    watching.say("exporting the graph …")
    state = _built(model, request)
    for step in steps:
        step.apply(state)
    return _finished(state)


def write(exported: Exported, target: Path) -> None:
    """Write an export to `target` atomically."""
    write_atomic(target, lambda file: file.write(exported.content))


def _steps(options: ExportOptions) -> list[Step]:
    """Select the steps for the options, in order."""
    own: list[tuple[Step, bool]] = [
        (Rewrite(), options.optimize or options.tune or options.precision == "int8"),
        (TorchParity(), True),
        (InPrecision(), options.precision != "fp32"),
        (Batching(), options.batch > 1),
        (HostReady(), options.host_ready),
    ]
    others = [
        Proven(name, STEPS.get(name, "install the package that provides it", OptionsError)()) for name in options.steps
    ]
    return [*(step for step, wanted in own if wanted), *others]


def _checked(checkpoint: Checkpoint, options: ExportOptions, watching: Watching) -> Contract:
    """Check the options, and return the contract of the checkpoint with the codes, policy, name and version they set."""
    for note in check_options(options):
        watching.note(note)
    check_model(options, checkpoint.contract)
    contract = with_policy(with_codes(checkpoint.contract, options.codes), options.policy)
    kept = contract.identity
    identity = Identity(options.name or kept.name, options.model_version or kept.version)
    return replace(contract, identity=identity)


def _request(checkpoint: Checkpoint, contract: Contract, options: ExportOptions, watching: Watching) -> Request:
    """Make the request. Raises SegError if a folder does not fit the model."""

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
    """Change the window size of a contract. Raises SegError with the nearest valid sizes if it is invalid."""
    if input_size is None:
        return contract
    shape = model.window(str(input_size))
    geometry = replace(contract.geometry, input_shape=shape, output_shape=model.output_shape(shape))
    return replace(contract, geometry=geometry)


def _built(model: Network, request: Request) -> State:
    """Export the graph, and prepare the windows for comparing it."""
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
    """Make the file with its golden samples, and check its self-test and that its logits are those compared before."""
    samples = golden_samples(state.contract, state.reference, state.request.golden, state.tolerance).to_text()
    content, sample = stamped(state.graph, state.contract, samples, state.entries), state.samples[0]
    [logits] = logits_of(state.session, [sample])
    prove_file(content, sample, logits)
    return Exported(content, state.contract, len(samples))
