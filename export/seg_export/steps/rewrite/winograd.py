"""Winograd's algorithms for a valid 3×3 convolution and its ReLU, which need fewer products.

Lavin and Gray 2016 (arXiv 1509.09308): Y = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A for every 6×6 tile d, with a step of 4. The
products are summed over channels, so the middle part is 36 matrix products. Their form determines the speed:

- Bᵀ d B is computed by depthwise convolutions of stride 4, first along rows, then along columns. Each matrix product is a
  1×1 convolution. All of them use the blocked layout of convolutions in ONNX Runtime, so nothing is reordered.
- The bias is added to the one product whose column of Aᵀ is all ones, so that it is added to every result once.
- Aᵀ M A is one Gemm over all 36 products. The ReLU is fused into it, and DepthToSpace arranges the 16 results of a tile.
- G g Gᵀ is computed when the file is written, so the weights of such a layer grow fourfold. In ONNX Runtime it took two
  seconds at every start.

Maps that a Concat joins are transformed separately, and their products are added.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from .layers import Layer, parts_of
from .rule import Constants, RewriteRule


class _Transforms(NamedTuple):
    """Matrices of a Winograd algorithm along one axis: `b_t` `(n, n)`, `g` `(n, 3)`, `a_t` `(m, n)` for n inputs, m results."""

    b_t: NDArray[np.float64]
    g: NDArray[np.float64]
    a_t: NDArray[np.float64]
    ones: int
    """Index of the column of `a_t` that is all ones."""


F4 = _Transforms(
    np.array(
        [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
         [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]],
        float,
    ),
    np.array(
        [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
         [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
    ),
    np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], float),
    ones=1,
)  # fmt: skip
"""F(4, 3)."""
F2 = _Transforms(
    np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], float),
    np.array([[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]]),
    np.array([[1, 1, 1, 0], [0, 1, -1, -1]], float),
    ones=1,
)
"""F(2, 3)."""


class _Relued(RewriteRule):
    """A rewrite of a convolution together with its ReLU."""

    def pattern(self, op: Any, x: Any, w: Any) -> Any:
        """Match a Conv, with or without bias, and its ReLU."""
        conv = op.Conv(x, w, _allow_other_inputs=True, _allow_other_attributes=True, _outputs=["place"])
        return op.Relu(conv)


class _Winograd(_Relued):
    """Relu(Conv) -> F(4×4, 3×3), for layers of the form `winograd`: 36 products instead of 144 for each 4×4 block of results."""

    forms = ("winograd",)

    def transforms(self) -> _Transforms:
        """Return the matrices of one axis."""
        return F4

    def rewrite(self, op: Any, x: ir.Value, w: ir.Value, place: ir.Value) -> Any:
        """Rewrite the layer with its ReLU."""
        (node, layer), k, how = self.at(place), self.constants, self.transforms()
        (m, n), shape = how.a_t.shape, (layer.size[0] - 2, layer.size[1] - 2)
        tiles = (-(-shape[0] // m), -(-shape[1] // m))
        parts = [
            (
                _transformed(k, op, part, how, channels, layer.size, tiles),
                _weights(k, op, weight, how, layer.maps, channels),
            )
            for part, weight, channels in zip(
                parts_of(x), k.weights_of_parts(op, w, layer.parts), layer.parts, strict=True
            )
        ]
        once = how.ones * n + how.ones
        products = [_product(op, parts, i, list(node.inputs[2:]) if i == once else []) for i in range(n * n)]
        return _results(k, op, products, how, layer, tiles, shape)


class _Winograd2(_Winograd):
    """Relu(Conv) -> F(2×2, 3×3), for layers of the form `winograd2`: 16 products instead of 36 for each 2×2 block of results.

    The weights grow by 16/9 instead of fourfold, the constants are 1 and 1/2, and the error is that of a direct convolution.
    The transforms compute 4 values for each result, those of F(4×4) 2.25.
    """

    forms = ("winograd2",)

    def transforms(self) -> _Transforms:
        """Return the matrices of one axis."""
        return F2


class _Winograd1d(_Relued):
    """Relu(Conv) -> F(4, 3) along columns, for layers of the form `winograd1d`: 18 products instead of 36 for 4 results of a row.

    It saves half as much as `winograd` for half of its memory: the weights grow twofold instead of fourfold, the transformed
    maps by 1.5 instead of more than twofold. The error is a tenth.

    - Bᵀ d is six depthwise convolutions of stride 4 along columns. Each product is a 3×1 convolution. All use the blocked
      layout.
    - Aᵀ M is one Gemm that reads the products as columns and writes the four results of a tile side by side, so that no
      rearrangement is needed. The ReLU is fused into it.
    """

    forms = ("winograd1d",)

    def rewrite(self, op: Any, x: ir.Value, w: ir.Value, place: ir.Value) -> Any:
        """Rewrite the layer with its ReLU."""
        (node, layer), k = self.at(place), self.constants
        height, width = layer.size[0] - 2, layer.size[1] - 2
        m, n = F4.a_t.shape
        tiles = -(-width // m)
        weights = k.weights_of_parts(op, w, layer.parts)
        products = []
        for number, (column, transform) in enumerate(zip(F4.b_t, F4.g, strict=True)):
            total: ir.Value | None = None
            for part, weight, channels in zip(parts_of(x), weights, layer.parts, strict=True):
                maps = _along(k, op, part, column, m, 1, channels, layer.size[1], tiles)  # (1, C, H, tiles)
                taps = op.MatMul(weight, k.floats(op, transform.reshape(3, 1)))  # (K, C, 3, 1)
                bias = list(node.inputs[2:]) if number == F4.ones and total is None else []
                product = op.Conv(maps, taps, *bias)
                total = product if total is None else op.Add(total, product)
            products.append(total)
        joined = op.Reshape(op.Concat(*products, axis=1), k.ints(op, n, layer.maps * height * tiles))
        results = op.Relu(op.Gemm(joined, k.floats(op, F4.a_t.T), transA=1))  # (K H tiles, 4)
        whole: ir.Value = op.Reshape(results, k.ints(op, 1, layer.maps, height, m * tiles))
        return whole if m * tiles == width else op.Slice(whole, k.ints(op, 0), k.ints(op, width), k.ints(op, 3))


RULES = (_Winograd, _Winograd1d, _Winograd2)


def _transformed(
    k: Constants,
    op: Any,
    part: ir.Value,
    how: _Transforms,
    channels: int,
    size: tuple[int, int],
    tiles: tuple[int, int],
) -> list[ir.Value]:
    """Compute Bᵀ d B of all tiles: n² maps `(1, C, *tiles)`, with the index of the row outermost."""
    m, found = len(how.a_t), []
    for row in how.b_t:
        rows = _along(k, op, part, row, m, 0, channels, size[0], tiles[0])
        found += [_along(k, op, rows, column, m, 1, channels, size[1], tiles[1]) for column in how.b_t]
    return found


def _along(
    k: Constants,
    op: Any,
    x: ir.Value,
    row: NDArray[np.float64],
    m: int,
    axis: int,
    channels: int,
    size: int,
    tiles: int,
) -> ir.Value:
    """Apply one row of Bᵀ along one axis as a depthwise convolution of stride m. Tiles beyond the map read zeros."""
    taps = np.trim_zeros(row, "b")
    dilation = 2 if not taps[1::2].any() else 1  # every other tap is zero
    kernel = taps[::dilation]
    beyond = max(0, m * (tiles - 1) + len(taps) - size)

    def placed(value: int, other: int) -> list[int]:
        return [value, other] if axis == 0 else [other, value]

    weight = np.broadcast_to(kernel.reshape(1, 1, *placed(-1, 1)), (channels, 1, *placed(len(kernel), 1)))
    result: ir.Value = op.Conv(
        x, k.floats(op, weight), group=channels, strides=placed(m, 1), dilations=placed(dilation, 1),
        pads=[0, 0, *placed(beyond, 0)],
    )  # fmt: skip
    return result


def _weights(k: Constants, op: Any, weight: ir.Value, how: _Transforms, maps: int, channels: int) -> list[ir.Value]:
    """Compute G g Gᵀ: n² weights `(K, C, 1, 1)` of 1×1 convolutions."""
    taps = op.Reshape(weight, k.ints(op, maps, channels, 1, 9))
    return [op.MatMul(taps, k.floats(op, np.outer(first, second).reshape(9, 1))) for first in how.g for second in how.g]


def _product(
    op: Any, parts: list[tuple[list[ir.Value], list[ir.Value]]], place: int, bias: list[ir.Value | None]
) -> ir.Value:
    """Compute one of the n² matrix products, `(1, K, *tiles)`, summed over the parts."""
    (maps, weights), *others = parts
    total: ir.Value = op.Conv(maps[place], weights[place], *bias)
    for maps, weights in others:
        total = op.Add(total, op.Conv(maps[place], weights[place]))
    return total


def _results(
    k: Constants, op: Any, products: list[ir.Value], how: _Transforms, layer: Layer, tiles: tuple[int, int],
    shape: tuple[int, int],
) -> ir.Value:  # fmt: skip
    """Compute relu(Aᵀ M A), arranged as `(1, K, *shape)`."""
    m, n = how.a_t.shape
    joined = op.Reshape(op.Concat(*products, axis=1), k.ints(op, n * n, layer.maps * tiles[0] * tiles[1]))
    both = np.einsum("ia,jb->ijab", how.a_t, how.a_t).reshape(m * m, n * n)
    results = op.Relu(op.Gemm(k.floats(op, both), joined))  # (m², K tiles)
    depth = op.Reshape(results, k.ints(op, 1, m * m * layer.maps, *tiles))
    whole: ir.Value = op.DepthToSpace(depth, blocksize=m, mode="DCR")
    if (m * tiles[0], m * tiles[1]) == shape:
        return whole
    rest: ir.Value = op.Slice(whole, k.ints(op, 0, 0), k.ints(op, *shape), k.ints(op, 2, 3))
    return rest
