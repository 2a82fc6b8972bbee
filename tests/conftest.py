"""Which tests are slow, how many cores a test gets, and shared fixtures: real random-weight networks, really exported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from seg_export.options import ExportOptions
from seg_runtime.model.answer import OutputInfo
from seg_runtime.model.input import Intensity
from seg_toolkit.networks.unet import UNet

from tests.support.bright import exported
from tests.support.contracts import contract_of
from tests.support.models import SMALL, ExportedOnce, Made, MakeModel, made, mixed_network

SLOW = {
    "benchmarks": "benchmark",
    "hosts": "host",
    "recipes/test_short.py": "recipe",
    "test_install.py": "install",
    "documentation/test_commands.py": "documentation",
    "documentation/test_real_nuclei.py": "recipe",
    "documentation/test_site.py": "host",
}
"""What `make test` leaves to `make test-all`, each with its marker."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests; the longest one, the README's commands, goes first, so that no core waits for it at the end."""
    for item in items:
        place = item.path.relative_to(Path(__file__).parent).as_posix()
        for slow, kind in SLOW.items():
            if place == slow or place.startswith(f"{slow}/"):
                item.add_marker("slow")
                item.add_marker(kind)
    items.sort(key=lambda item: item.get_closest_marker("documentation") is None)


def pytest_configure() -> None:
    """One thread for torch, here and in sub-processes, and a core of its own for each of several test processes.

    Small networks gain nothing from a second thread, and trainings are compared bit by bit. ONNX Runtime takes as many threads as
    there are cores; they wait at full speed, and would take the core of the process beside.
    """
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    torch.set_num_threads(1)
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


@pytest.fixture(autouse=True, scope="session")
def exported_once() -> Iterator[ExportedOnce]:
    """See `ExportedOnce`; a test of the exporter itself lets it `forget`."""
    once = ExportedOnce()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", once)
        yield once


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Factory of exported models, one for each set of arguments in a test session."""
    known: dict[object, Made] = {}

    def make(
        *,
        skip: str = "crop",
        seed: int = 1,
        channels: int = 3,
        classes: int = 2,
        geometry: str = "tile",
        intensity: Intensity = Intensity("scale"),  # noqa: B008 - frozen
        decision: str = "argmax",
        input_size: int = SMALL,
        pixels: str = "integer",
        options: ExportOptions = ExportOptions(),  # noqa: B008 - frozen
    ) -> Made:
        key = (skip, seed, channels, classes, geometry, intensity, decision, input_size, pixels, options)
        if key not in known:
            net = mixed_network(channels, classes, 2, skip, input_size, seed)
            how = contract_of(net, input_size, method=geometry, intensity=intensity, decision=decision, pixels=pixels)
            known[key] = made(tmp_path_factory.mktemp("model"), net, how, options)
        return known[key]

    return make


@pytest.fixture(scope="session")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A regression with two outputs of very different units, random weights: 1 channel, 100 -> 60 px, tiled by 60."""
    torch.manual_seed(3)
    net = UNet(1, 2, 4, depth=2).eval()
    with torch.inference_mode():
        values = net(torch.rand(1, 1, 100, 100))[0].flatten(1)
        net.head.weight /= values.std(1)[:, None, None, None]
        net.head.bias.copy_(-values.mean(1) / values.std(1))
    outputs = (OutputInfo("nuclei", 300.0, 120.0, 0.0, 1000.0, "counts"), OutputInfo("height", -2e-3, 4e-4, -4e-3, 0.0))
    return made(tmp_path_factory.mktemp("regression"), net, contract_of(net, 100, outputs=outputs))


@pytest.fixture(scope="session")
def bright_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of grey images that labels what is bright: its objects are known."""
    return exported(tmp_path_factory.mktemp("bright"))


@pytest.fixture(scope="session")
def model(make_model: MakeModel) -> Made:
    """The quick model: 3 channels, 2 classes, 252 -> 68 px, tiled."""
    return make_model()


@pytest.fixture(scope="session")
def model_file(model: Made) -> Path:
    """The quick model's ONNX file."""
    return model.path
