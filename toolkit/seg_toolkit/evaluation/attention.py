"""Heat maps of an attention network: one per gate, drawn over the image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from seg_runtime.answers import fullest_slice, visible
from seg_runtime.model import Contract
from seg_runtime.pipeline import fitted, unframe, window_logits
from seg_runtime.support import write_atomic

from ..data import Case, ClassValues
from ..networks import Network
from .heatmap import heat_map

Float = NDArray[np.float32]


def write_attention(
    folder: Path, model: Network, cases: Iterable[Case], classes: Sequence[ClassValues], contract: Contract,
    device: torch.device,
) -> int:  # fmt: skip
    """Write the heat maps of cases as CASE_gate1.png and so on, and return their number.

    For volumes, they show the slice with the most foreground. The network must have attention gates, see
    `Network.has_attention`.
    """
    written = 0
    for case in cases:
        image = fitted(case.image(), contract, case.name)
        if image.ndim - 1 > contract.geometry.axes:  # the slice that the preview shows
            image = image[fullest_slice(case.read(classes).labels)]
        maps = attention_maps(model, image, contract, device)
        written += len(_write_pictures(folder, case.name, image, maps, contract))
    return written


def attention_maps(model: Network, image: NDArray[Any], contract: Contract, device: torch.device) -> Float:
    """Compute alpha of each gate for a whole image, with the windows of the runtime.

    Args:
        model: network that `has_attention`, in evaluation mode, on `device`.
        image: `(H, W, C)` with the channels of the contract.
        contract: contract for tiling and normalisation.
        device: device that computes.

    Returns:
        `(gates, H, W)` float32, 0..1, the coarsest gate first.
    """

    @torch.inference_mode()
    def infer(window: Float) -> Float:
        maps: Float = model.attention(torch.from_numpy(window).to(device)).float().cpu().numpy()
        return maps

    grid, pieces = window_logits(image, contract, infer)
    whole = np.zeros((model.depth, *grid.shape), np.float32)
    return unframe(grid.stitch(pieces, whole), image.shape[:-1])


def _write_pictures(folder: Path, name: str, image: NDArray[Any], maps: Float, contract: Contract) -> list[Path]:
    """Write `NAME_gate1.png` and so on, the coarsest gate first, and return their paths.

    Args:
        folder: output folder, created if it is missing.
        name: name of the case.
        image: `(H, W, C)`.
        maps: `(gates, H, W)` from `attention_maps`.
        contract: contract with the intensity for displaying the image.
    """
    (folder / name).parent.mkdir(parents=True, exist_ok=True)  # a name may contain a subfolder
    grey = visible(image, contract.input.intensity)
    paths: list[Path] = []
    for number, alpha in enumerate(maps, 1):
        pace = 1 << (len(maps) - number + 1)
        picture = heat_map(grey, alpha, f"gate {number} of {len(maps)}, one value per {pace} by {pace} px")
        path = folder / f"{name}_gate{number}.png"
        write_atomic(path, lambda file, picture=picture: picture.save(file, "PNG"))  # type: ignore[misc]
        paths.append(path)
    return paths
