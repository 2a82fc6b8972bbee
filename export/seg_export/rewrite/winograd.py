"""A valid 3×3 convolution as Winograd's F(4×4, 3×3): 36 products instead of 144 for each 4×4 block of results.

Lavin and Gray 2016 (arXiv 1509.09308): Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A for every 6×6 tile d, which steps by 4. The products are
summed over channels, which makes the middle 36 matrix products. How they are written decides what they cost:

- Bᵀ d B is two rounds of depthwise convolutions of stride 4, rows first, then columns; each matrix product is a 1×1
  convolution. All of them run in the blocked layout of ONNX Runtime's convolutions, so that nothing is reordered.
- The bias is added to the one product whose column of Aᵀ is all ones: it reaches every result once.
- Aᵀ M A is one Gemm over all 36 products; the ReLU is fused into it, and DepthToSpace lays the 16 results of a tile out.
- G g Gᵀ is computed when the file is written: the weights of such a layer grow fourfold. Left to ONNX Runtime, it took two
  seconds of every start.

Maps that a Concat joins are transformed one by one, and their products are added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from .constants import Constants
from .layers import Layer, parts_of
from .rule import Rule

M, N = 4, 6  # results and inputs of a tile along each axis
B_T = np.array(
    [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
     [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]],
    float,
)  # fmt: skip
G = np.array(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
     [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
)  # fmt: skip
A_T = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], float)
ONES = 1  # the column of A_T that is all ones


class Relued(Rule):
    """A rewrite of a convolution together with its ReLU."""

    def pattern(self, op: Any, x: Any, w: Any) -> Any:
        """A Conv, with or without bias, and its ReLU."""
        conv = op.Conv(x, w, _allow_other_inputs=True, _allow_other_attributes=True, _outputs=["place"])
        return op.Relu(conv)


class Winograd(Relued):
    """Relu(Conv) -> F(4×4, 3×3), for layers of the form `winograd`."""

    forms = ("winograd",)

    def rewrite(self, op: Any, x: ir.Value, w: ir.Value, place: ir.Value) -> Any:
        """The layer with its ReLU."""
        (node, layer), k = self.at(place), self.constants
        height, width = layer.size[0] - 2, layer.size[1] - 2
        tiles = (-(-height // M), -(-width // M))
        parts = [
            (_transformed(k, op, part, channels, layer.size, tiles), _weights(k, op, weight, layer.maps, channels))
            for part, weight, channels in zip(
                parts_of(x), k.weights_of_parts(op, w, layer.parts), layer.parts, strict=True
            )
        ]
        products = [_product(op, parts, number, list(node.inputs[2:])) for number in range(N * N)]
        return _results(k, op, products, layer, tiles, (height, width))


def _transformed(
    k: Constants, op: Any, part: ir.Value, channels: int, size: tuple[int, int], tiles: tuple[int, int]
) -> list[ir.Value]:
    """Bᵀ d B of all tiles: 36 maps `(1, C, *tiles)`, the row's index outermost."""
    found = []
    for row in B_T:
        rows = along(k, op, part, row, 0, channels, size[0], tiles[0])
        found += [along(k, op, rows, column, 1, channels, size[1], tiles[1]) for column in B_T]
    return found


def along(
    k: Constants, op: Any, x: ir.Value, row: NDArray[np.float64], axis: int, channels: int, size: int, tiles: int
) -> ir.Value:
    """One row of Bᵀ along one axis, as a depthwise convolution of stride 4; tiles that reach beyond the map read zeros."""
    taps = np.trim_zeros(row, "b")
    dilation = 2 if not taps[1::2].any() else 1  # every other tap is zero
    kernel = taps[::dilation]
    beyond = max(0, M * (tiles - 1) + len(taps) - size)

    def placed(value: int, other: int) -> list[int]:
        return [value, other] if axis == 0 else [other, value]

    weight = np.broadcast_to(kernel.reshape(1, 1, *placed(-1, 1)), (channels, 1, *placed(len(kernel), 1)))
    result: ir.Value = op.Conv(
        x, k.floats(op, weight), group=channels, strides=placed(M, 1), dilations=placed(dilation, 1),
        pads=[0, 0, *placed(beyond, 0)],
    )  # fmt: skip
    return result


def _weights(k: Constants, op: Any, weight: ir.Value, maps: int, channels: int) -> list[ir.Value]:
    """G g Gᵀ: 36 weights `(K, C, 1, 1)` of 1×1 convolutions."""
    taps = op.Reshape(weight, k.ints(op, maps, channels, 1, 9))
    return [op.MatMul(taps, k.floats(op, np.outer(first, second).reshape(9, 1))) for first in G for second in G]


def _product(
    op: Any, parts: list[tuple[list[ir.Value], list[ir.Value]]], place: int, bias: list[ir.Value | None]
) -> ir.Value:
    """One of the 36 matrix products, `(1, K, *tiles)`, summed over the parts."""
    once = bias if place == ONES * N + ONES else []
    (maps, weights), *others = parts
    total: ir.Value = op.Conv(maps[place], weights[place], *once)
    for maps, weights in others:
        total = op.Add(total, op.Conv(maps[place], weights[place]))
    return total


def _results(
    k: Constants, op: Any, products: list[ir.Value], layer: Layer, tiles: tuple[int, int], shape: tuple[int, int]
) -> ir.Value:
    """relu(Aᵀ M A), laid out as `(1, K, *shape)`."""
    joined = op.Reshape(op.Concat(*products, axis=1), k.ints(op, N * N, layer.maps * tiles[0] * tiles[1]))
    both = np.einsum("ia,jb->ijab", A_T, A_T).reshape(M * M, N * N)
    results = op.Relu(op.Gemm(k.floats(op, both), joined))  # (16, K tiles)
    depth = op.Reshape(results, k.ints(op, 1, M * M * layer.maps, *tiles))
    whole: ir.Value = op.DepthToSpace(depth, blocksize=M, mode="DCR")
    if (M * tiles[0], M * tiles[1]) == shape:
        return whole
    rest: ir.Value = op.Slice(whole, k.ints(op, 0, 0), k.ints(op, *shape), k.ints(op, 2, 3))
    return rest
