"""A network whose labels are sure, for tests of precisions: random ones flip at every rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from seg_export.options import ExportOptions
from seg_export.pipeline import export, write
from seg_runtime.model.answer import ClassInfo
from seg_runtime.pipeline import Array
from seg_toolkit.checkpoints import Checkpoint
from seg_toolkit.data import ClassValues
from seg_toolkit.networks.attention import AttentionUNet
from seg_toolkit.networks.unet import UNet

from tests.support.contracts import contract_of

SIZE, OUT = 252, 68
TONES = (ClassInfo("dark", (0, 0, 0)), ClassInfo("bright", (255, 0, 0)))


def bright(gain: float = 1.0, kind: type[UNet] = UNet) -> Checkpoint:
    """Labels: is a pixel brighter than the middle grey? By the topmost skip; all other weights are small and random.

    Args:
        gain: of the pixel's brightness on its way, so that activations become as large as wanted.
        kind: a U-Net, or one with gates, of which the topmost then stands open.
    """
    torch.manual_seed(0)
    net = kind(1, 2, 4).eval()
    with torch.inference_mode():
        for value in net.parameters():
            value.mul_(0.1)
        passes = [("down.0.0", 0, gain), ("down.0.2", 0, 1.0), ("merge.3.0", 4, 1.0), ("merge.3.2", 0, 1 / gain)]
        state = dict(net.named_parameters())
        for name, source, factor in passes:
            state[f"{name}.weight"][0] = 0
            state[f"{name}.weight"][0, source, 1, 1] = factor
            state[f"{name}.bias"][0] = 0
        if isinstance(net, AttentionUNet):
            state["gates.3.psi.bias"][:] = 20
        state["head.weight"][:] = 0
        state["head.weight"][:, 0, 0, 0] = torch.tensor([-8.0, 8.0])
        state["head.bias"][:] = torch.tensor([4.0, -4.0])
    stored = tuple(ClassValues(info, (255 * i,)) for i, info in enumerate(TONES))
    return Checkpoint(net.described, net.state_dict(), contract_of(net, SIZE, TONES), stored)


def exported(folder: Path, options: ExportOptions = ExportOptions()) -> Path:  # noqa: B008 - frozen
    """The file of such a model, in a folder."""
    path = folder / "bright.onnx"
    write(export(bright(), options), path)
    return path


def two_tone(seed: int, height: int = 130, width: int = 100) -> Array:
    """`(H, W)` uint8: dark and bright blocks of 10 px, each with noise, far from the middle grey."""
    rng = np.random.default_rng(seed)
    tones = rng.choice([60, 190], (height // 10, width // 10)).repeat(10, 0).repeat(10, 1)
    return (tones + rng.integers(-25, 26, tones.shape)).astype(np.uint8)


def folder(root: Path, count: int = 3, masks: bool = True) -> Path:
    """A folder as seg-train takes it."""
    for part in ("images", "masks") if masks else ("images",):
        (root / part).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        image = two_tone(i)
        Image.fromarray(image).save(root / "images" / f"{i}.png")
        if masks:
            Image.fromarray(((image > 127) * 255).astype(np.uint8)).save(root / "masks" / f"{i}.png")
    return root
