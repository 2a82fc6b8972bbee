"""The forms of a network that `speed` compares: ours, and what a form is. The peers are in `peers.py`.

Nothing heavy is imported before it is needed: a process that measures its own memory holds only its own form.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from seg_runtime import SegError, Segmenter
from seg_runtime.answers import answer_of
from seg_runtime.engine import available_threads, runtime_module
from seg_runtime.model import Contract, WindowFile
from seg_runtime.pipeline import Array, Float
from seg_runtime.segmenter import Infer, Progress
from seg_runtime.support import write_atomic

if TYPE_CHECKING:
    from seg_toolkit.checkpoints import Checkpoint

CALIBRATION = 16  # images, at most
Labels = NDArray[np.uint8]


class MissingError(Exception):
    """Why a form cannot be measured here: a package, a device, or a version of ours."""


@dataclass(frozen=True)
class Running:
    """A form that is open.

    Attributes:
        labels: image `(H, W, C)` -> labels `(H, W)` uint8; a Progress is called after each window, where there is one.
        infer: window -> logits; None for a form that takes whole images only.
    """

    labels: Callable[[Array, Progress | None], Labels]
    infer: Infer | None = None


@dataclass(frozen=True)
class Form:
    """One row: how its file is made, how it is opened, how it runs.

    Attributes:
        key: its name for `--forms`.
        title: its name in the table.
        make: writes the file into the bench's folder; raises MissingError.
        open: file, contract and threads -> Running; the contract only serves forms whose file has none.
        package: what has to be installed.
        ours: `seg-run` runs its file, so that this is its whole process; else `one.py` or the ten-line script.
        only: the one part that it is measured in: `large` where its window is not one of 572 px.
        provider: for `seg-run`.
        words: more options of `seg-run`.
    """

    key: str
    title: str
    make: Callable[[Bench], Path]
    open: Callable[[Path, Contract, int], Running]
    package: str = ""
    ours: bool = False
    only: str = ""
    provider: str = "cpu"
    words: tuple[str, ...] = ()

    def made(self, bench: Bench) -> Path:
        """Its file, made where it is not there.

        Raises:
            MissingError: it cannot be had here.
        """
        if self.package and importlib.util.find_spec(self.package) is None:
            raise MissingError(f"{self.package} is not installed")
        return self.make(bench)


@dataclass
class Bench:
    """One network, the folder for its forms, and what they are fed.

    Attributes:
        checkpoint: of the network.
        folder: for files; those that are there already are taken.
        calibration: folder of images for int8, masks beside them where they are known.
        real: whether these are real images, on which parity is judged, too.
        threads: of every form.
    """

    checkpoint: Checkpoint
    folder: Path
    calibration: Path
    real: bool = False
    threads: int = field(default_factory=available_threads)

    @property
    def contract(self) -> Contract:
        """Of the 572 px window."""
        return self.checkpoint.contract

    @property
    def trained(self) -> bool:
        """Whether the network has learned anything: a random one has no classes that were read from masks."""
        return bool(self.checkpoint.classes)

    def file(self, name: str, content: Callable[[], bytes]) -> Path:
        """The file of that name in the folder, made where it is not there."""
        path = self.folder / name
        if not path.exists():
            made = content()
            write_atomic(path, lambda file: file.write(made))
        return path


def prepared(checkpoint: Checkpoint, root: Path, data: Path | None = None, threads: int | None = None) -> Bench:
    """A bench in a folder of its own below `root`, named by the weights, our source and `data`, so that no old file is taken.

    Args:
        checkpoint: of the network.
        root: for all benches.
        data: training folder; its training part calibrates int8. None: generated images.
        threads: of every form; None takes all that this process may use.
    """
    from seg_toolkit.checkpoints import save, weights_sha256

    name = f"{weights_sha256(checkpoint.build())[:12]}-{_source()[:12]}"
    folder = root / (f"{name}-{data.resolve().name}" if data else name)
    calibration = folder / "calibration"
    if not calibration.exists():
        unfinished = folder / "unfinished"
        (unfinished / "images").mkdir(parents=True, exist_ok=True)
        if data is None:
            _generate(unfinished / "images", checkpoint.contract)
        else:
            _copy(data, unfinished)
        unfinished.rename(calibration)
    save(checkpoint, folder / "checkpoint.pt")
    (folder / "contract.json").write_text(checkpoint.contract.to_json())
    return Bench(checkpoint, folder, calibration, data is not None, threads or available_threads())


def picture(contract: Contract, side: int) -> Array:
    """A square image `(side, side, C)` uint8: a random tile again and again, the same for every form."""
    tile = np.random.default_rng(0).integers(0, 256, (min(side, 512),) * 2 + (contract.input.channels,), dtype=np.uint8)
    times = -(-side // len(tile))
    return np.tile(tile, (times, times, 1))[:side, :side]


def window(contract: Contract) -> Float:
    """One network input with values 0..1."""
    return np.random.default_rng(0).random(
        (1, contract.input.channels, *contract.geometry.input_shape), dtype=np.float32
    )


def save_picture(pixels: Array, path: Path) -> None:
    """Write an image `(H, W, 1 or 3)` uint8 as PNG."""
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)


def _generate(target: Path, contract: Contract) -> None:
    from seg_export.proof import generated_images

    for place, image in enumerate(generated_images(contract, 4)):
        save_picture(image, target / f"{place}.png")


def _copy(data: Path, target: Path) -> None:
    """Some training cases of a training folder, spread over it."""
    from seg_export.proof import some

    training, _ = parts(data)
    for case in some(training, CALIBRATION):
        for path in filter(None, (case.image_file, case.mask_file, case.instances_file)):
            (target / path.parent.name).mkdir(exist_ok=True)
            (target / path.parent.name / path.name).write_bytes(path.read_bytes())


def parts(data: Path) -> tuple[list[Any], list[Any]]:
    """Cases for training and for validation, as `seg-train` splits them by default."""
    from seg_toolkit.data.readers import PAIRS, read_data_set

    return read_data_set(PAIRS, data, lambda text: None).split(0.2, None, 0)


def _source() -> str:
    """Digest of all our code that makes or runs a file."""
    digest = hashlib.sha256()
    for package in ("seg_runtime", "seg_toolkit", "seg_export"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        for path in sorted(Path(spec.origin).parent.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _exported(name: str, **options: Any) -> Callable[[Bench], Path]:
    """Our exporter with these options; a precision is fitted to the bench's calibration."""

    def make(bench: Bench) -> Path:
        from seg_export.options import ExportOptions
        from seg_export.pipeline import export

        if "precision" in options and not bench.trained:
            raise MissingError("the gate refuses random weights")
        calibration = bench.calibration if "precision" in options else None
        images = bench.calibration if bench.real else None
        given = ExportOptions(images=images, calibration=calibration, **options)
        try:
            return bench.file(name, lambda: export(bench.checkpoint, given).content)
        except SegError as error:
            raise MissingError(f"the exporter refuses ({error})") from error

    return make


def _fp16(bench: Bench) -> Path:
    if "CUDAExecutionProvider" not in runtime_module().get_available_providers():
        raise MissingError("needs CUDA")
    return _exported("fp16.onnx", precision="fp16")(bench)


def _ungated(bench: Bench) -> Path:
    """int8 as the exporter makes it of the rewritten graph, for weights whose masks mean nothing: the gate is not asked."""
    if bench.trained:
        raise MissingError("trained weights go through the gate")

    def content() -> bytes:
        from seg_export.graph import stamped
        from seg_export.network import to_onnx
        from seg_export.pictures import pictures
        from seg_export.proof import image_windows
        from seg_export.steps.precision.calibrate import Spread
        from seg_export.steps.precision.int8 import quantised, saturates
        from seg_export.steps.rewrite.apply import default_table, layers_of, rewritten

        model = bench.checkpoint.build()
        graph = to_onnx(model, bench.contract)
        graph = rewritten(graph, default_table(layers_of(graph), "int8"))
        found = Spread.of(graph, image_windows(pictures(bench.calibration, bench.contract), bench.contract, 1))
        contract = replace(bench.contract, file=WindowFile("int8"))
        return stamped(quantised(graph, found.ranges(), (), saturates()), contract)

    return bench.file("int8-ungated.onnx", content)


def _segmenter(provider: str = "cpu") -> Callable[[Path, Contract, int], Running]:
    """Our runtime, whole: it plans, cuts, runs and stitches."""

    def opened(path: Path, contract: Contract, threads: int) -> Running:
        segmenter = Segmenter(path, provider=provider, threads=threads)
        windows = segmenter.contract.file.kind == "window"
        infer = segmenter.session.run if windows else None
        return Running(lambda image, progress: segmenter(image, progress=progress).labels, infer)

    return opened


def by_windows(infer: Infer, contract: Contract) -> Running:
    """A peer that answers windows: our corridor cuts and stitches for it."""
    return Running(lambda image, progress: answer_of(contract).segment(image, infer, progress=progress), infer)


def bare(path: Path, contract: Contract, threads: int) -> Running:
    """A plain ONNX Runtime session, as its documentation shows."""
    ort = runtime_module()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return by_windows(lambda window: session.run(["logits"], {"image": window})[0], contract)


def plain_export(bench: Bench) -> Path:
    """What `torch.onnx.export` gives, without anything of ours but its arguments."""

    def content() -> bytes:
        from seg_export.network import to_onnx

        return to_onnx(bench.checkpoint.build(), bench.contract).SerializeToString()  # type: ignore[no-any-return]

    return bench.file("plain.onnx", content)


PLAIN = Form("plain", "plain torch export, ONNX Runtime fp32", plain_export, bare)
OURS = (
    Form("fp32", "ours, fp32", _exported("fp32.onnx", optimize=True), _segmenter(), ours=True),
    Form("tuned", "ours, fp32, tuned here", _exported("tuned.onnx", optimize=True, tune=True), _segmenter(), ours=True),
    Form(
        "int8", "ours, int8", _exported("int8.onnx", precision="int8"),
        _segmenter(), ours=True,
    ),
    Form(
        "int8-ungated", "ours, int8, random weights, gate not asked", _ungated, _segmenter(), ours=True,
    ),
    Form(
        "cached", "ours, fp32, seg-run --cache, second start", _exported("fp32.onnx", optimize=True), _segmenter(),
        ours=True, only="process", words=("--cache", "kept"),
    ),
    Form("fp16", "ours, fp16 on CUDA", _fp16, _segmenter("cuda"), ours=True, provider="cuda"),
    Form("host", "ours, host-ready", _exported("host.onnx", host_ready=True, optimize=True), _segmenter(), ours=True),
    Form(
        "unrewritten", "ours, fp32 without rewrites", _exported("unrewritten.onnx"), _segmenter(), ours=True,
    ),
    Form(
        "fp32-1084", "ours, fp32, windows of 1084", _exported("fp32-1084.onnx", optimize=True, input_size=1084),
        _segmenter(), ours=True, only="large",
    ),
    Form(
        "fp32-1596", "ours, fp32, windows of 1596", _exported("fp32-1596.onnx", optimize=True, input_size=1596),
        _segmenter(), ours=True, only="large",
    ),
    Form(
        "unrewritten-1596", "ours, without rewrites, windows of 1596", _exported("unrewritten-1596.onnx", input_size=1596),
        _segmenter(), ours=True, only="large",
    ),
)  # fmt: skip
