from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image
from seg_runtime.model.contract import ClassInfo, Contract, Intensity
from seg_toolkit.cli.train import main
from seg_toolkit.data.folder import ClassValues

REPOSITORY = Path(__file__).parents[2]
SMALL = ["--width", "2", "--input-size", "204", "--workers", "0", "--geometry", "fit", "--device", "cpu"]
TWO = (ClassValues(ClassInfo("background", (0, 0, 0)), (0,)), ClassValues(ClassInfo("cell", (230, 159, 0)), (255,)))

SegTrain = Callable[..., Result]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)  # the machine is small, and sub-processes are compared bit by bit


@pytest.fixture(scope="session")
def child_env() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five generated fields of 64×64 px with masks and instances; read-only by agreement."""
    spec = importlib.util.spec_from_file_location("sample_cells", REPOSITORY / "samples" / "cells.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    root = tmp_path_factory.mktemp("cells")
    module.write_folder(root, count=5, size=64, seed=0)
    return root


@pytest.fixture(scope="session")
def seg_train() -> SegTrain:
    """`seg-train` in this process; what it does not turn into an error line comes out as the exception it is."""

    def call(*arguments: str | Path) -> Result:
        return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)

    return call


def put(path: Path, values: NDArray[np.generic]) -> Path:
    """Write an array as a picture of the suffix's format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def disc(size: int = 40, radius: float = 9.0) -> NDArray[np.uint8]:
    """0/255, one disc in the middle."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    return np.where(rows**2 + columns**2 < radius**2, 255, 0).astype(np.uint8)


def write_pairs(root: Path, count: int = 3) -> Path:
    """Small valid folder: `images/a0.png` … with `masks/a0.png` …."""
    for i in range(count):
        mask = disc(radius=7.0 + i)
        put(root / "images" / f"a{i}.png", (mask // 2 + 20).astype(np.uint8))
        put(root / "masks" / f"a{i}.png", mask)
    return root


def contract(geometry: str = "tile", channels: int = 1, intensity: Intensity | None = None) -> Contract:
    """204 -> 20 px, two classes."""
    return Contract(
        input_shape=(204, 204),
        output_shape=(20, 20),
        channels=channels,
        intensity=intensity or Intensity("scale"),
        classes=tuple(c.info for c in TWO),
        geometry=geometry,
    )
