"""Shared fixtures: real random-weight networks, really exported, and made-up images."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from seg_export.pipeline import export, write
from seg_export.steps.hostready.prove import HostForm
from seg_runtime.model.contract import ClassInfo, Contract, Intensity, OutputInfo
from seg_runtime.pipeline.preprocess import Array, Float
from seg_toolkit.checkpoints.checkpoint import Checkpoint, save
from seg_toolkit.networks.unet import UNet, output_size

SMALL = 252  # input window in px of the quick models: it leaves 68 px and steps by 64
COLORS = [(0, 0, 0), (230, 60, 60), (60, 120, 230), (250, 200, 40)]


@dataclass(frozen=True)
class Made:
    """A model on disk and the torch network it was exported from."""

    path: Path
    checkpoint: Path
    net: UNet
    contract: Contract

    def torch_run(self, window: Float) -> Float:
        """Logits of the torch network."""
        with torch.inference_mode():
            return self.net(torch.from_numpy(window)).numpy()


MakeModel = Callable[..., Made]


def noise_image(height: int, width: int, channels: int = 3, seed: int = 0, dtype: str = "uint8") -> Array:
    """`(H, W, C)` blocks of 8 px, a slope and noise: grey values over the whole range of the dtype."""
    rng = np.random.default_rng(seed)
    blocks = rng.random((-(-height // 8), -(-width // 8), channels)).repeat(8, 0).repeat(8, 1)[:height, :width]
    slope = np.linspace(0, 0.2, height)[:, None, None]
    field = 0.4 * blocks + slope + 0.4 * rng.random((height, width, channels))
    return (field * np.iinfo(dtype).max).astype(dtype)


def mixed_network(channels: int, classes: int, width: int, skip: str, size: int, seed: int) -> UNet:
    """A random network whose median logit is 0 for every class, so that labels are mixed; dead draws are redrawn."""
    out = output_size(size) or 0
    window = noise_image(size, size, channels, seed).astype(np.float32).transpose(2, 0, 1)[None] / 255
    for draw in range(seed * 100, seed * 100 + 20):
        torch.manual_seed(draw)
        net = UNet(channels, classes, width, skip=skip).eval()
        with torch.inference_mode():
            for name, value in net.named_parameters():
                if name.endswith("bias"):
                    value.fill_(0.1)  # so narrow a network would often be dead without
            logits = net(torch.from_numpy(window))[0].reshape(classes, out * out)
            spread = logits.std(dim=1)
            if spread.min() < 1e-2:
                continue
            net.head.weight /= spread[:, None, None, None]
            net.head.bias.copy_(-(logits.median(dim=1).values / spread))
            shares = net(torch.from_numpy(window))[0].argmax(0).flatten().bincount(minlength=classes) / out**2
        if shares.min() > 0.1:
            return net
    raise AssertionError("no seed gives mixed labels")


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """Factory of exported models, one for each set of arguments in a test session."""
    made: dict[object, Made] = {}

    def make(
        *,
        skip: str = "crop",
        seed: int = 1,
        channels: int = 3,
        classes: int = 2,
        geometry: str = "tile",
        intensity: Intensity = Intensity("scale"),  # noqa: B008 - frozen
        task: str = "multiclass",
        input_size: int = SMALL,
        pixels: str = "integer",
        host: HostForm | None = None,
    ) -> Made:
        key = (skip, seed, channels, classes, geometry, intensity, task, input_size, pixels, host)
        if key not in made:
            net = mixed_network(channels, classes, 2, skip, input_size, seed)
            out = output_size(input_size) or 0
            multiclass = task == "multiclass"
            contract = Contract(
                (input_size,) * 2, (out,) * 2, channels, intensity,
                tuple(ClassInfo(f"class {i}", COLORS[i]) for i in range(classes)), geometry,
                task=task, activation="softmax" if multiclass else "sigmoid",
                decision="argmax" if multiclass else "threshold", pixels=pixels,
            )  # fmt: skip
            checkpoint = Checkpoint(net.arguments, net.state_dict(), contract, [])
            folder = tmp_path_factory.mktemp("model")
            save(checkpoint, folder / "model.pt")
            exported = export(checkpoint, host=host)
            write(exported, folder / "model.onnx")
            made[key] = Made(folder / "model.onnx", folder / "model.pt", net, exported.contract)
        return made[key]

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
    contract = Contract(
        (100, 100), (60, 60), 1, Intensity("scale"), (), stride=4, task="regression", activation="none", decision="none",
        outputs=outputs,
    )  # fmt: skip
    checkpoint = Checkpoint(net.arguments, net.state_dict(), contract, [])
    folder = tmp_path_factory.mktemp("regression")
    save(checkpoint, folder / "model.pt")
    exported = export(checkpoint)
    write(exported, folder / "model.onnx")
    return Made(folder / "model.onnx", folder / "model.pt", net, exported.contract)


@pytest.fixture(scope="session")
def model(make_model: MakeModel) -> Made:
    """The quick model: 3 channels, 2 classes, 252 -> 68 px, tiled."""
    return make_model()


@pytest.fixture(scope="session")
def model_file(model: Made) -> Path:
    """The quick model's ONNX file."""
    return model.path


@pytest.fixture(scope="session")
def clean_env() -> dict[str, str]:
    """Environment for subprocesses: ours without $SEG_MODEL."""
    return {k: v for k, v in os.environ.items() if k != "SEG_MODEL"}
