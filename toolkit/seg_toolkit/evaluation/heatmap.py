"""Pictures of where an attention network looks: one heat map over the image for each gate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from seg_runtime.answers.overlay import visible
from seg_runtime.model.contract import Contract
from seg_runtime.pipeline import Array, Float
from seg_runtime.pipeline.geometry import unframe
from seg_runtime.pipeline.windows import window_logits
from seg_runtime.support.atomic import write_atomic
from seg_runtime.support.errors import SegError

from ..networks import Network
from ..networks.attention import AttentionUNet

RAMP = np.array([(24, 20, 92), (150, 30, 110), (235, 105, 50), (255, 240, 150)], np.float32)  # dark is little
OPACITY = 0.6
SIDE_PX, BAR_PX, HEAD_PX = 300, 120, 30  # smaller images are enlarged to about that side
INK, PAPER = (40, 40, 40), (255, 255, 255)


def attention_maps(model: Network, image: Array, contract: Contract, device: torch.device) -> Float:
    """Alpha of each gate for a whole image, by the runtime's own windows.

    Args:
        model: in evaluation mode, on `device`.
        image: `(H, W, C)` with the contract's channels.
        contract: how to cut and normalise.
        device: where to compute.

    Returns:
        `(gates, H, W)` float32, 0..1, the coarsest gate first.

    Raises:
        SegError: a network without gates.
    """
    if not isinstance(model, AttentionUNet):
        fix = "leave --attention out, or train with --network attention"
        raise SegError(f"--attention for the network {model.kind}", f"the network {AttentionUNet.kind}", fix)
    gated = model

    @torch.inference_mode()
    def infer(window: Float) -> Float:
        maps: Float = gated.attention(torch.from_numpy(window).to(device)).float().cpu().numpy()
        return maps

    grid, pieces = window_logits(image, contract, infer)
    whole = np.zeros((gated.depth, *grid.shape), np.float32)
    return unframe(grid.stitch(pieces, whole), image.shape[:-1])


def write_pictures(folder: Path, name: str, image: Array, maps: Float, contract: Contract) -> Iterator[Path]:
    """Write `NAME_gate1.png` and so on, the coarsest gate first; gives each path once it is written.

    Args:
        folder: is made where it is missing.
        name: of the case.
        image: `(H, W, C)`.
        maps: `(gates, H, W)` of `attention_maps`.
        contract: says how grey values are shown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    grey = visible(image, contract.input.intensity)
    for number, alpha in enumerate(maps, 1):
        pace = 1 << (len(maps) - number + 1)
        picture = heat_map(grey, alpha, f"gate {number} of {len(maps)}, one value for {pace} by {pace} px")
        path = folder / f"{name}_gate{number}.png"
        write_atomic(path, lambda file, picture=picture: picture.save(file, "PNG"))  # type: ignore[misc]
        yield path


def heat_map(picture: NDArray[np.uint8], alpha: Float, title: str) -> Image.Image:
    """The picture under the colours of alpha, its smallest value dark and its largest bright, and a bar with both.

    Args:
        picture: `(H, W, 3)` uint8.
        alpha: `(H, W)` float32.
        title: stands over the bar.
    """
    low, high = float(alpha.min()), float(alpha.max())
    colors = _ramp((alpha - low) / max(high - low, 1e-6))
    grey = picture.mean(axis=-1, keepdims=True)  # its own colours would mix with those of the map
    laid = Image.fromarray(np.rint((1 - OPACITY) * grey + OPACITY * colors).astype(np.uint8))
    factor = max(1, SIDE_PX // max(laid.size))
    laid = laid.resize((factor * laid.width, factor * laid.height), Image.Resampling.NEAREST)
    font = ImageFont.load_default(13)
    sheet = Image.new("RGB", (max(laid.width, BAR_PX + 200), laid.height + 2 * HEAD_PX), PAPER)
    sheet.paste(laid, (0, 0))
    draw, top = ImageDraw.Draw(sheet), laid.height + 6
    draw.text((6, top), title, INK, font)
    bar = np.rint(_ramp(np.tile(np.linspace(0, 1, BAR_PX, dtype=np.float32), (12, 1)))).astype(np.uint8)
    draw.text((6, top + 26), f"{low:.3f}", INK, font)
    sheet.paste(Image.fromarray(bar), (50, top + 28))
    draw.text((56 + BAR_PX, top + 26), f"{high:.3f}", INK, font)
    return sheet


def _ramp(shares: Float) -> Float:
    """Colours `(H, W, 3)` of shares `(H, W)`, 0..1."""
    stops = np.linspace(0, 1, len(RAMP))
    return np.stack([np.interp(shares, stops, RAMP[:, c]) for c in range(3)], axis=-1).astype(np.float32)
