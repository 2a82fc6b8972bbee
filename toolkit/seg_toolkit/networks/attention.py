"""Attention U-Net (Oktay et al. 2018, arXiv 1804.03999): a gate on each skip, controlled by the next coarser level."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import centre, he_normal
from .unet import UNet


class _Gate(nn.Module):
    """An additive attention gate: alpha = sigmoid(psi(relu(Wx x + Wg g))), with half as many inner maps as x.

    Wx is a 2×2 convolution of stride 2, so that x is sampled on the grid of g, as in the grid attention of the paper.
    """

    def __init__(self, channels: int, gating: int) -> None:
        """Build a gate for x with `channels` maps and g with `gating` maps."""
        super().__init__()
        inner = max(1, channels // 2)
        self.skip = nn.Conv2d(channels, inner, 2, stride=2, bias=False)  # one bias serves both summands
        self.gating = nn.Conv2d(gating, inner, 1)
        self.psi = nn.Conv2d(inner, 1, 1)

    def forward(self, x: Tensor, g: Tensor) -> Tensor:
        """Compute alpha `(N, 1, h, w)`, 0..1, from x `(N, C, 2h, 2w)` and g `(N, G, h, w)`."""
        return torch.sigmoid(self.psi(F.relu(self.skip(x) + self.gating(g))))


class AttentionUNet(UNet):
    """U-Net with a gate on each skip connection. The gating signal is the map of the next coarser level.

    There are two differences from the paper. Alpha is enlarged by nearest neighbour instead of interpolation, so that
    tiles are exact. The topmost skip connection also has a gate.

    Args:
        in_channels: image channels.
        classes: number of output maps K.
        width: feature maps of the first level; each level doubles them.
        depth: number of poolings and gates.
        dropout: probability at the end of the contracting path.
        padding: see `UNet`.
        norm: see `UNet`; gates have no norm.
        margin: see `UNet`.
    """

    kind = "attention"
    has_attention = True
    options = ("width", "depth", "dropout", "padding", "norm", "margin")

    def __init__(
        self, in_channels: int = 3, classes: int = 2, width: int = 64, depth: int = 4, dropout: float = 0.1,
        padding: str = "valid", norm: str = "none", margin: int | None = None,
    ) -> None:  # fmt: skip
        """Build the network with He-normal weights and zero biases."""
        super().__init__(in_channels, classes, width, depth, "crop", dropout, padding, norm, margin)
        del self.arguments["skip"]
        self.gates = nn.ModuleList(_Gate(width << level, width << level + 1) for level in reversed(range(depth)))
        self.gates.apply(he_normal)

    def attention(self, x: Tensor) -> Tensor:
        """Compute alpha of each gate for the output window: `(N, depth, *output_shape)` float, 0..1, the coarsest gate first.

        Args:
            x: images `(N, C, H, W)`.
        """
        carried, coarse = self.contracting(x)
        maps = self.expanding(carried, coarse)
        shown: list[Tensor] = []
        height, width = self._logits(maps[-1]).shape[-2:]
        for place, (wide, finer) in enumerate(zip(reversed(carried), maps, strict=True)):
            alpha = self._alpha(centre(wide, 2 * coarse.shape[-2], 2 * coarse.shape[-1]), coarse, place)
            pace = float(1 << (self.depth - 1 - place))
            shown.append(centre(F.interpolate(alpha, scale_factor=pace, mode="nearest"), height, width))
            coarse = finer
        return torch.cat(shown, dim=1)

    def _gated(self, skip: Tensor, coarse: Tensor, place: int) -> Tensor:
        return skip * self._alpha(skip, coarse, place)

    def _alpha(self, skip: Tensor, coarse: Tensor, place: int) -> Tensor:
        """Compute alpha `(N, 1, 2h, 2w)` at the size of the skip connection."""
        return F.interpolate(self.gates[place](skip, coarse), scale_factor=2.0, mode="nearest")  # (N, 1, 56, 56) …
