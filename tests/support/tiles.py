"""A network tiled by the runtime's own plan, and how far it sees."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from seg_runtime.pipeline import Grid
from seg_toolkit.networks import Network

from tests.support.contracts import contract_of

CROPS = (4, 16, 40, 88)  # px that a U-Net of depth 4 cuts from each side of the carried maps, deepest first
EXACT = 1e-9  # of the range, in float64


def stitched(network: Network, side: int, image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logits `(K, H, W)` of an image `(H, W, C)` by windows of `side` px."""
    contract = contract_of(network, side, pixels="float")
    grid = Grid.of(image.shape[:-1], contract.geometry)

    def answers(window: NDArray[np.float32]) -> NDArray[np.float64]:
        with torch.inference_mode():
            answer: NDArray[np.float64] = network(torch.from_numpy(window.copy()).double())[0].numpy()
        return answer

    pieces = (answers(window) for window in grid.windows(image, contract.input.intensity))
    return grid.stitch(pieces, np.zeros((len(contract.classes), *grid.shape)))


def seam(network: Network, side: int, whole: int, shape: tuple[int, int]) -> float:
    """Largest difference between small windows and one window of `whole` px that answers for all, as a share of the range."""
    network.double().eval()
    image = np.random.default_rng(0).random((*shape, network.arguments["in_channels"]), np.float32)
    assert min(network.output_shape((whole, whole))) >= max(shape) > min(network.output_shape((side, side)))
    one, many = stitched(network, whole, image), stitched(network, side, image)
    return float(np.abs(one - many).max() / np.ptp(one))


def sees(network: Network, side: int, px: int) -> tuple[bool, bool]:
    """Whether the answer depends on the column of pixels `px` to the left of it, and to the right of it."""
    network.double().eval()
    with torch.inference_mode():
        for value in network.parameters():
            value.fill_(0.05)  # nothing cancels, and the largest pixel passes every pooling
        image = torch.ones(1, network.arguments["in_channels"], side, side, dtype=torch.float64)
        margin = (side - network.output_shape((side, side))[0]) // 2
        answer, seen = network(image), []
        for column in (margin - px, side - margin - 1 + px):
            other = image.clone()
            other[..., column] += 1000
            seen.append(not torch.equal(network(other), answer))
    return seen[0], seen[1]
