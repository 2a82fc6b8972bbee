"""Host-ready models, pictures of many sizes and dtypes, and what Python's runtime says about them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from seg_export.options import ExportOptions
from seg_runtime import Intensity, Segmenter
from seg_runtime.answers import answer_of
from seg_runtime.pipeline import Array, Float, unframe, window_logits

from tests.support.contracts import named
from tests.support.damage import resealed
from tests.support.images import noise_image
from tests.support.models import HOST_READY, MakeModel, made, mixed_network
from tests.support.places import SAMPLES
from tests.support.tools import missing
from tests.support.touching import of_objects

# one px, less than an output window of 68 px, one px more than it, not square, and one px more than 388
SIZES = [(1, 1), (40, 33), (69, 68), (61, 150), (389, 388)]
# Other kernels add in another order, which moves logits by about 1e-6 where they range over 10. Where two classes are closer
# than that, either label is right, as in the self-test.
TIE = 4e-6
MODELS: dict[str, dict[str, object]] = {
    "grey": {"channels": 1},
    "rgb": {"channels": 3, "classes": 3, "intensity": Intensity("zscore", std_floor=0.05)},
    "fit": {"channels": 3, "geometry": "fit"},
    "deep": {"channels": 1, "intensity": Intensity("zscore", std_floor=0.05)},
    "float": {"channels": 3, "pixels": "float", "intensity": Intensity("zscore", std_floor=0.05)},
}
DTYPES = {"deep": "uint16", "float": "float32"}


class Picture(NamedTuple):
    """A picture and what Python's runtime says about it by the window form.

    Attributes:
        path: PNG, or PFM for floats.
        labels: `(H, W)` uint8.
        margins: by how much each label wins, in logits, `(H, W)` float32.
    """

    path: Path
    labels: NDArray[np.uint8]
    margins: Float


@dataclass(frozen=True)
class Case:
    """One network in both forms, and pictures of its kind."""

    model: Path
    window_model: Path
    channels: int
    pictures: list[Picture]


def sample_with_packages(name: str) -> Path:
    """A sample whose npm packages are installed."""
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            missing(f"{tool} is not installed")
    if not (SAMPLES / name / "node_modules").is_dir():
        missing(f"the npm packages of samples/{name} are not installed: make hosts")
    return SAMPLES / name


def differing(mask: Path, picture: Picture) -> int:
    """Pixels in which a mask file has another label although the right one is certain."""
    found = np.asarray(Image.open(mask))
    assert found.shape == picture.labels.shape
    return int(((found != picture.labels) & (picture.margins > TIE)).sum())


def interrupted(command: Sequence[object], folder: Path) -> None:
    """Press Ctrl-C in a program that shows its progress in a terminal, and check that it writes no mask."""
    ours, theirs = os.openpty()
    before = set(folder.iterdir())
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while b"2 of 576 windows" not in seen:
            seen += os.read(ours, 1000)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert b"error: cancelled, no mask was written" in seen + os.read(ours, 100_000)
    os.close(ours)
    assert set(folder.iterdir()) == before


def margins_of(segmenter: Segmenter, pixels: Array) -> Float:
    """By how much each label of an image `(H, W, C)` wins, in logits, `(H, W)`."""
    grid, answers = window_logits(pixels, segmenter.contract, segmenter.session.run)
    margins = answer_of(segmenter.contract).margins
    stitched = grid.stitch((margins(logits) for logits in answers), np.zeros(grid.shape, np.float32))
    return unframe(stitched, pixels.shape[:2])


def save_picture(pixels: Array, path: Path) -> Path:
    """A PNG, or for floats a PFM, and a TIFF beside it for those who do not read PFM."""
    plane = pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels
    if pixels.dtype != np.float32:
        Image.fromarray(plane).save(path)
        return path
    tifffile.imwrite(path.with_suffix(".tif"), plane, photometric="minisblack" if plane.ndim == 2 else "rgb")
    height, width = pixels.shape[:2]
    path = path.with_suffix(".pfm")
    path.write_bytes(
        b"P%s\n%d %d\n-1.0\n" % (b"f" if plane.ndim == 2 else b"F", width, height) + pixels[::-1].tobytes()
    )
    return path


@pytest.fixture(scope="session")
def make_case(make_model: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    made: dict[str, Case] = {}

    def make(name: str) -> Case:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            dtype = DTYPES.get(name, "uint8")
            options = ExportOptions(host_ready=True, host_dtype=dtype)
            window, host = make_model(**MODELS[name]), make_model(**MODELS[name], options=options)
            pictures = []
            with Segmenter(window.path, provider="cpu") as segmenter:
                for seed, (height, width) in enumerate(SIZES if name not in DTYPES else SIZES[1:4]):
                    noise = noise_image(
                        height, width, window.contract.input.channels, seed, "uint8" if dtype == "uint8" else "uint16"
                    )
                    pixels = (noise / 65535).astype(np.float32) if dtype == "float32" else noise
                    path = save_picture(pixels, folder / f"{height}x{width}.png")
                    pictures.append(Picture(path, segmenter(pixels).labels, margins_of(segmenter, pixels)))
            assert len(np.unique(pictures[-1].labels)) == len(window.contract.classes)
            made[name] = Case(host.path, window.path, window.contract.input.channels, pictures)
        return made[name]

    return make


@pytest.fixture(scope="session", params=list(MODELS))
def case(request: pytest.FixtureRequest, make_case: Callable[[str], Case]) -> Case:
    return make_case(request.param)


class ObjectsCase(NamedTuple):
    """A host-ready model that separates objects, and pictures.

    Attributes:
        model: the file.
        found: for each picture its path, the numbers of objects that Python's runtime finds, and their classes, `(H, W)`.
    """

    model: Path
    found: list[tuple[Path, NDArray[np.int32], NDArray[np.uint8]]]


@pytest.fixture(scope="session", params=["distance", "border"])
def objects_case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ObjectsCase:
    folder = tmp_path_factory.mktemp(request.param)
    # planes of noise have objects in holes of others, which only the runtime fills
    fill = request.param == "border"
    how = of_objects(request.param, 204, classes=named(3), smallest_px=2, mask_threshold=0.65, fill_holes=fill)
    model = made(folder, mixed_network(1, how.answer.maps, 2, "crop", 204, 3), how, HOST_READY)
    found = []
    with Segmenter(model.path, provider="cpu") as segmenter:
        for seed, (height, width) in enumerate(SIZES[:4]):
            pixels = noise_image(height, width, 1, seed)
            result = segmenter(pixels)
            found.append((save_picture(pixels, folder / f"{height}x{width}.png"), result.objects, result.labels))
    assert max(ids.max() for _, ids, _ in found) > 5
    return ObjectsCase(model.path, found)


@pytest.fixture(scope="session")
def bad_pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures that a host must refuse, by a word of the reason."""
    folder = tmp_path_factory.mktemp("bad")
    colour = noise_image(20, 30, 3)
    alpha = np.dstack([colour, np.full((20, 30), 200, np.uint8)])
    pictures = {"transparent": alpha, "uint16": noise_image(20, 30, 1, dtype="uint16")[..., 0], "colour": colour}
    for word, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / f"{word}.png")
    (folder / "read.png").write_text("no picture")
    return {word: folder / f"{word}.png" for word in (*pictures, "read")}


@pytest.fixture(scope="session")
def bad_models(make_case: Callable[[str], Case], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models that a host must refuse, by words of the reason."""
    case, folder = make_case("grey"), tmp_path_factory.mktemp("models")
    whole = case.model.read_bytes()
    contents = {
        "its digest differs": with_one_bit_flipped(case.model),
        "does not end with its digest": whole[: whole.rindex(b"\x72\x53\x0a")],
        "an older seg-export": resealed(case.model, without_origin),
        "--host-ready": case.window_model.read_bytes(),
    }
    for number, content in enumerate(contents.values()):
        (folder / f"{number}.onnx").write_bytes(content)
    return {reason: folder / f"{number}.onnx" for number, reason in enumerate(contents)}


def with_one_bit_flipped(model: Path) -> bytes:
    """The content of a model file with another weight."""
    weight = onnx.numpy_helper.to_array(next(t for t in onnx.load(model).graph.initializer if t.name == "head.weight"))
    content, found = bytearray(model.read_bytes()), weight.tobytes()
    assert content.count(found) == 1
    content[content.index(found) + 3] ^= 0x80  # the sign of the first one
    return bytes(content)


def without_origin(proto: onnx.ModelProto) -> None:
    """Change a model to the form of older files, which computed a whole image in one call."""
    for name, value in (("origin", np.zeros(2, np.int64)), ("statistics", np.zeros((0, 1), np.float32))):
        proto.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    del proto.graph.input[1:]
