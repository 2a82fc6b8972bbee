"""Real networks with random weights, really exported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from seg_export.options import ExportOptions
from seg_export.pipeline import export, write
from seg_runtime.engine import RunOptions
from seg_runtime.model.contract import Contract
from seg_runtime.model.modelfile import ModelFile
from seg_runtime.pipeline import Float
from seg_toolkit.checkpoints import Checkpoint, save
from seg_toolkit.networks import Network
from seg_toolkit.networks.layers import output_size
from seg_toolkit.networks.unet import UNet

from .images import noise_image

CPU = RunOptions(provider="cpu")
HOST_READY = ExportOptions(host_ready=True)
SMALL = 252  # input window in px of the quick models: it leaves 68 px and steps by 64


@dataclass(frozen=True)
class Made:
    """A model on disk and the torch network it was exported from."""

    path: Path
    checkpoint: Path
    net: Network
    contract: Contract

    def torch_run(self, window: Float) -> Float:
        """Logits of the torch network."""
        with torch.inference_mode():
            answer: Float = self.net(torch.from_numpy(window)).numpy()
        return answer


MakeModel = Callable[..., Made]


class ExportedOnce:
    """`torch.onnx.export` that gives a network back that it exported before: it takes seconds, and tests want the same few.

    Networks are the same where class, arguments, weights and the window's shape are.
    """

    def __init__(self) -> None:
        self._real, self._known = torch.onnx.export, dict[str, object]()

    def __call__(self, network: Network, window: tuple[torch.Tensor, ...], **options: object) -> object:
        weights = hashlib.sha256()
        for name, value in network.state_dict().items():
            weights.update(name.encode() + value.numpy().tobytes())
        shape = tuple(window[0].shape)
        key = f"{network.described} {network.training} {weights.hexdigest()} {shape} {sorted(options.items())}"
        if key not in self._known:
            self._known[key] = self._real(network, window, **options)  # type: ignore[arg-type]
        return self._known[key]

    def forget(self) -> None:
        """Export anew what comes."""
        self._known.clear()


def checkpoint_of(net: Network, contract: Contract) -> Checkpoint:
    """A finished checkpoint of a network."""
    return Checkpoint(net.described, net.state_dict(), contract)


def made(folder: Path, net: Network, contract: Contract, options: ExportOptions = ExportOptions()) -> Made:  # noqa: B008 - frozen
    """`model.pt` and `model.onnx` in a folder."""
    checkpoint = checkpoint_of(net, contract)
    save(checkpoint, folder / "model.pt")
    exported = export(checkpoint, options)
    write(exported, folder / "model.onnx")
    return Made(folder / "model.onnx", folder / "model.pt", net, exported.contract)


def being_loaded(model: Made, folder: Path) -> tuple[Path, ModelFile]:
    """A copy of the model's file, whose bytes have been read and not yet been taken."""
    path = folder / "model.onnx"
    path.write_bytes(model.path.read_bytes())
    reading = ModelFile(path)
    reading._thread.join()
    return path, reading


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
