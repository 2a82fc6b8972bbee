"""Forms of a network that `speed` compares: those of seg-edge, and the class `Form`. Peers are in `peers.py`.

Large packages are imported when they are needed, because a process that measures its memory must load only its form.
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

CALIBRATION = 16  # largest number of images
Labels = NDArray[np.uint8]


class MissingError(Exception):
    """A form cannot be measured here, because a package, a device or a feature is missing."""


@dataclass(frozen=True)
class Running:
    """An open form.

    Attributes:
        labels: image `(H, W, C)` -> labels `(H, W)` uint8; a Progress, if given, is called after each window.
        infer: window -> logits; None for a form that takes whole images only.
    """

    labels: Callable[[Array, Progress | None], Labels]
    infer: Infer | None = None


@dataclass(frozen=True)
class Form:
    """One row of the table: how to make, open and run a form.

    Attributes:
        key: name for `--forms`.
        title: name in the table.
        make: writes the file into the folder of the bench; raises MissingError.
        open: file, contract and threads -> Running; the contract is used by forms whose file has none.
        package: package that must be installed.
        ours: whether `seg-run` runs the file as the whole process; else `one.py` or the ten-line script does.
        only: the only part that is measured, `large` if its window is not 572 px.
        provider: provider for `seg-run`.
        words: further options of `seg-run`.
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
        """Return its file, which is made if it is missing.

        Raises:
            MissingError: if the form is not available here.
        """
        if self.package and importlib.util.find_spec(self.package) is None:
            raise MissingError(f"{self.package} is not installed")
        return self.make(bench)


@dataclass
class Bench:
    """One network, the folder for its forms, and their inputs.

    Attributes:
        checkpoint: checkpoint of the network.
        folder: folder for files; existing files are reused.
        calibration: folder of images for int8, with masks if they are known.
        real: whether these are real images, on which parity is also judged.
        threads: number of threads of each form.
    """

    checkpoint: Checkpoint
    folder: Path
    calibration: Path
    real: bool = False
    threads: int = field(default_factory=available_threads)

    @property
    def contract(self) -> Contract:
        """Contract with a window of 572 px."""
        return self.checkpoint.contract

    @property
    def trained(self) -> bool:
        """Whether the network is trained; a random network has no classes from masks."""
        return bool(self.checkpoint.classes)

    def file(self, name: str, content: Callable[[], bytes]) -> Path:
        """Return a file in the folder, which is made if it is missing."""
        path = self.folder / name
        if not path.exists():
            made = content()
            write_atomic(path, lambda file: file.write(made))
        return path


def prepared(checkpoint: Checkpoint, root: Path, data: Path | None = None, threads: int | None = None) -> Bench:
    """Make a bench in a subfolder of `root` named by weights, source code and `data`, so that no outdated file is reused.

    Args:
        checkpoint: checkpoint of the network.
        root: folder for all benches.
        data: training folder whose training part calibrates int8; None for generated images.
        threads: number of threads of each form; None for all that this process may use.
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
    """Make a square image `(side, side, C)` uint8 of a repeated random tile, the same for every form."""
    tile = np.random.default_rng(0).integers(0, 256, (min(side, 512),) * 2 + (contract.input.channels,), dtype=np.uint8)
    times = -(-side // len(tile))
    return np.tile(tile, (times, times, 1))[:side, :side]


def window(contract: Contract) -> Float:
    """Make one network input with values 0..1."""
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
    """Copy some training cases of a training folder, evenly spaced."""
    from seg_export.proof import some

    training, _ = parts(data)
    for case in some(training, CALIBRATION):
        for path in filter(None, (case.image_file, case.mask_file, case.instances_file)):
            (target / path.parent.name).mkdir(exist_ok=True)
            (target / path.parent.name / path.name).write_bytes(path.read_bytes())


def parts(data: Path) -> tuple[list[Any], list[Any]]:
    """Split cases into training and validation, as `seg-train` does by default."""
    from seg_toolkit.data.readers import PAIRS, read_data_set

    return read_data_set(PAIRS, data, lambda text: None).split(0.2, None, 0)


def _source() -> str:
    """Digest of all source code that makes or runs a file."""
    digest = hashlib.sha256()
    for package in ("seg_runtime", "seg_toolkit", "seg_export"):
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        for path in sorted(Path(spec.origin).parent.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _exported(name: str, **options: Any) -> Callable[[Bench], Path]:
    """Export with these options; a precision is fitted to the calibration of the bench."""

    def make(bench: Bench) -> Path:
        from seg_export.options import ExportOptions
        from seg_export.pipeline import export

        if "precision" in options and not bench.trained:
            raise MissingError("the accuracy gate refuses random weights")
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
    """int8 of the rewritten graph without the accuracy gate, for random weights, whose masks have no meaning."""
    if bench.trained:
        raise MissingError("trained weights need the accuracy gate")

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
    """The whole runtime of seg-edge: planning, tiling, inference and stitching."""

    def opened(path: Path, contract: Contract, threads: int) -> Running:
        segmenter = Segmenter(path, provider=provider, threads=threads)
        windows = segmenter.contract.file.kind == "window"
        infer = segmenter.session.run if windows else None
        return Running(lambda image, progress: segmenter(image, progress=progress).labels, infer)

    return opened


def by_windows(infer: Infer, contract: Contract) -> Running:
    """A peer that takes windows; seg-edge does tiling and stitching for it."""
    return Running(lambda image, progress: answer_of(contract).segment(image, infer, progress=progress), infer)


def bare(path: Path, contract: Contract, threads: int) -> Running:
    """A plain ONNX Runtime session, as in its documentation."""
    ort = runtime_module()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return by_windows(lambda window: session.run(["logits"], {"image": window})[0], contract)


def plain_export(bench: Bench) -> Path:
    """The result of `torch.onnx.export` with the arguments of seg-edge only."""

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
        "int8-ungated", "ours, int8, accuracy not checked", _ungated, _segmenter(), ours=True,
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
