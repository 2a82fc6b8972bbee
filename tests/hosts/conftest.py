"""Host-ready models, pictures of many sizes, and what Python's runtime says about them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from seg_export.options import ExportOptions
from seg_runtime import Intensity, Segmenter
from seg_runtime.answers import answer_of
from seg_runtime.pipeline import Array, window_logits

from tests.support.images import noise_image
from tests.support.models import MakeModel
from tests.support.places import SAMPLES
from tests.support.tools import missing

# one px, less than an output window of 68 px, one px more than it, not square, and one px more than 388
SIZES = [(1, 1), (40, 33), (69, 68), (61, 150), (389, 388)]
# Another processor's kernels add in another order, which moves logits by about 1e-6 where they range over 10. At a margin
# below that a label is nobody's to call right: pictures that have such a pixel are drawn anew.
TIE = 4e-6
MODELS = {
    "grey": {"channels": 1},
    "rgb": {"channels": 3, "classes": 3, "intensity": Intensity("zscore", std_floor=0.05)},
    "fit": {"channels": 3, "geometry": "fit"},
}


@dataclass(frozen=True)
class Case:
    """One network in both forms, and pictures with the labels that Python's runtime gives them by the window form."""

    model: Path
    window_model: Path
    channels: int
    pictures: list[tuple[Path, NDArray[np.uint8]]]


def sample_with_packages(name: str) -> Path:
    """A sample whose npm packages are installed."""
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            missing(f"{tool} is not installed")
    if not (SAMPLES / name / "node_modules").is_dir():
        missing(f"the npm packages of samples/{name} are not installed: make hosts")
    return SAMPLES / name


def differing(mask: Path, labels: NDArray[np.uint8]) -> int:
    """Pixels in which a mask file differs from labels `(H, W)`."""
    found = np.asarray(Image.open(mask))
    assert found.shape == labels.shape
    return int((found != labels).sum())


def undisputed(segmenter: Segmenter, height: int, width: int, seed: int) -> Array:
    """A picture `(H, W, C)` in which each label wins by more than `TIE`."""
    contract = segmenter.contract
    for draw in range(seed * 100, seed * 100 + 100):
        pixels = noise_image(height, width, contract.input.channels, draw)
        _, answers = window_logits(pixels, contract, segmenter.session.run)
        if min(answer_of(contract).margins(logits).min() for logits in answers) > TIE:
            return pixels
    raise AssertionError("no picture without a tie")


@pytest.fixture(scope="session")
def make_case(make_model: MakeModel, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    made: dict[str, Case] = {}

    def make(name: str) -> Case:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            window, host = (
                make_model(**MODELS[name]),
                make_model(**MODELS[name], options=ExportOptions(host_ready=True, host_dtype="uint8")),
            )
            channels = window.contract.input.channels
            pictures = []
            with Segmenter(window.path, provider="cpu") as segmenter:
                for seed, (height, width) in enumerate(SIZES):
                    pixels = undisputed(segmenter, height, width, seed)
                    picture = folder / f"{height}x{width}.png"
                    Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels).save(picture)
                    pictures.append((picture, segmenter(picture).labels))
            assert len(np.unique(pictures[-1][1])) == len(window.contract.classes)
            made[name] = Case(host.path, window.path, channels, pictures)
        return made[name]

    return make


@pytest.fixture(scope="session", params=list(MODELS))
def case(request: pytest.FixtureRequest, make_case: Callable[[str], Case]) -> Case:
    return make_case(request.param)


@pytest.fixture(scope="session")
def bad_pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures that a host must refuse, by a word of the reason."""
    folder = tmp_path_factory.mktemp("bad")
    colour = noise_image(20, 30, 3)
    alpha = np.dstack([colour, np.full((20, 30), 200, np.uint8)])
    pictures = {"transparent": alpha, "16 bits": noise_image(20, 30, 1, dtype="uint16")[..., 0], "colour": colour}
    for word, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / f"{word}.png")
    (folder / "read.png").write_text("no picture")
    return {word: folder / f"{word}.png" for word in (*pictures, "read")}
