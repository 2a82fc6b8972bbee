"""The U-Net of Ronneberger, Fischer and Brox 2015 (arXiv 1505.04597, figure 1): all convolutions valid."""

from __future__ import annotations

import math

import torch
from seg_runtime.errors import SegError
from torch import Tensor, nn
from torch.nn import functional as F

from .network import Network

SKIPS = ("crop", "resize")


def output_size(size: int, depth: int = 4) -> int | None:
    """Side of the output window in px for an input of `size` px; None where a pooling would meet an odd size.

    >>> output_size(572), output_size(188), output_size(570)
    (388, 4, None)
    """
    for _ in range(depth):
        size -= 4
        if size < 2 or size % 2:
            return None
        size //= 2
    size -= 4
    for _ in range(depth):
        size = 2 * size - 4
    return size if size > 0 else None


class DoubleConv(nn.Sequential):
    """Two valid 3×3 convolutions, each with a ReLU: `(N, in, H, W)` -> `(N, out, H - 4, W - 4)`."""

    def __init__(self, channels: int, width: int) -> None:
        """Build it from `channels` to `width` maps."""
        super().__init__(
            nn.Conv2d(channels, width, 3), nn.ReLU(inplace=True), nn.Conv2d(width, width, 3), nn.ReLU(inplace=True)
        )


class UNet(Network):
    """U-Net, 572 -> 388 px at depth 4; 31,031,810 parameters with 3 channels, 2 classes, width 64.

    Args:
        in_channels: image channels.
        classes: output maps K.
        width: maps of the first level; each level doubles them.
        depth: number of poolings.
        skip: `crop`, the paper's: the centre of the map before the pooling is carried over. `resize`: the map after
            the pooling is carried over, resized bilinearly (half-pixel centres) to the decoder's size, as a Keras
            variant does.
        dropout: probability at the end of the contracting path.
    """

    kind = "unet"

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 2,
        width: int = 64,
        depth: int = 4,
        skip: str = "crop",
        dropout: float = 0.5,
    ) -> None:
        """Build the network with He-normal weights and zero biases."""
        super().__init__()
        if skip not in SKIPS:
            raise SegError(f"skip {skip!r}", " or ".join(SKIPS), "choose one of them")
        if min(in_channels, classes, width, depth) < 1 or not 0 <= dropout < 1:
            raise SegError(
                f"UNet({in_channels=}, {classes=}, {width=}, {depth=}, {dropout=})",
                "positive sizes, dropout in [0, 1)",
                "correct the argument",
            )
        self.arguments = {
            "in_channels": in_channels, "classes": classes, "width": width, "depth": depth, "skip": skip, "dropout": dropout,
        }  # fmt: skip
        self.depth, self.skip = depth, skip
        widths = [width << level for level in range(depth + 1)]
        self.down = nn.ModuleList(DoubleConv(a, b) for a, b in zip([in_channels, *widths], widths[:-1], strict=False))
        self.bottom = DoubleConv(widths[-2], widths[-1])
        self.dropout = nn.Dropout(dropout)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in reversed(widths[:-1]))
        self.merge = nn.ModuleList(DoubleConv(2 * w, w) for w in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, classes, 1)
        self.apply(_he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `(N, K, H - 184, W - 184)` of images `(N, C, H, W)` at depth 4."""
        carried = []
        for level in self.down:
            before = level(x)  # (N, 64, 568, 568) (N, 128, 280, 280) (N, 256, 136, 136) (N, 512, 64, 64)
            x = F.max_pool2d(before, 2)  # (N, 64, 284, 284) (N, 128, 140, 140) (N, 256, 68, 68) (N, 512, 32, 32)
            carried.append(before if self.skip == "crop" else x)
        x = self.dropout(self.bottom(x))  # (N, 1024, 28, 28)
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)  # (N, 512, 56, 56) (N, 256, 104, 104) (N, 128, 200, 200) (N, 64, 392, 392)
            x = merge(torch.cat([x, self._fitted(carried.pop(), x)], dim=1))
            # (N, 512, 52, 52) (N, 256, 100, 100) (N, 128, 196, 196) (N, 64, 388, 388)
        return self.head(x)  # type: ignore[no-any-return]  # (N, K, 388, 388)

    def output_side(self, side: int) -> int | None:
        """Side in px of the output window: 16k + 60 -> 16k - 124 at depth 4."""
        return output_size(side, self.depth)

    def _fitted(self, skip: Tensor, like: Tensor) -> Tensor:
        height, width = like.shape[-2:]
        if self.skip == "resize":
            return F.interpolate(skip, size=(height, width), mode="bilinear", align_corners=False)
        top, left = (skip.shape[-2] - height) // 2, (skip.shape[-1] - width) // 2
        return skip[..., top : top + height, left : left + width]


def _he_normal(module: nn.Module) -> None:
    """Normal weights of std √(2 / N), N inputs per output value (He et al. 2015, arXiv 1502.01852)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        # a 2×2 up-convolution of stride 2 feeds each output pixel from one input pixel only
        taps = 1 if isinstance(module, nn.ConvTranspose2d) else module.kernel_size[0] * module.kernel_size[1]
        nn.init.normal_(module.weight, std=math.sqrt(2 / (module.in_channels * taps)))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
