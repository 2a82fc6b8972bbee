"""The 3D U-Net of Çiçek, Abdulkadir, Lienkamp, Brox and Ronneberger 2016 (arXiv 1606.06650, figure 2), with valid convolutions."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from seg_runtime.support import SegError
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import he_normal, output_size
from .network import Network


class _DoubleConv3d(nn.Sequential):
    """Two valid 3×3×3 convolutions, each with batch norm before its ReLU: `(N, in, D, H, W)` -> `(N, out, D - 4, H - 4, W - 4)`."""

    def __init__(self, channels: int, middle: int, width: int) -> None:
        """Build the block with `channels`, `middle` and `width` maps."""
        parts: list[nn.Module] = []
        for before, after in ((channels, middle), (middle, width)):
            # no bias: the norm has a shift, which export folds into the convolution
            parts += [nn.Conv3d(before, after, 3, bias=False), nn.BatchNorm3d(after), nn.ReLU(inplace=True)]
        super().__init__(*parts)


class UNet3D(Network):
    """3D U-Net, 116×132×132 -> 28×44×44 voxels (depth, height, width) at depth 3.

    The paper has 19,069,955 parameters for 3 channels, 3 classes and width 32. An exported file has the same number:
    convolutions have a bias, up-convolutions do not. In training there are 19,072,291, because each of the 2,336
    normalised maps has a scale and a shift instead of a bias. There are two differences from the paper. At run time, the
    norm uses the averages of training instead of the statistics of the window, so that the logits do not depend on the
    position of the window. The settings of the optimizer are those of seg-train.

    Args:
        in_channels: image channels.
        classes: output maps K.
        width: feature maps of the first convolution. They double before each pooling, which avoids bottlenecks.
        depth: number of poolings.
    """

    kind = "unet3d"
    options = ("width", "depth")
    axes = 3
    default_input = (116, 132, 132)

    def __init__(self, in_channels: int = 1, classes: int = 2, width: int = 32, depth: int = 3) -> None:
        """Build the network with He-normal weights."""
        super().__init__()
        if min(in_channels, classes, width, depth) < 1:
            problem = f"UNet3D({in_channels=}, {classes=}, {width=}, {depth=}) is not possible"
            raise SegError(problem, "positive sizes", "correct the arguments")
        self.arguments = {"in_channels": in_channels, "classes": classes, "width": width, "depth": depth}
        self.depth = depth
        widths = [2 * width << level for level in range(depth + 1)]  # after each level: 64 128 256 512
        before = [in_channels, *widths]
        levels = [_DoubleConv3d(a, w // 2, w) for a, w in zip(before, widths, strict=False)]
        self.down, self.bottom = nn.ModuleList(levels[:-1]), levels[-1]
        narrowing = list(zip(reversed(widths[1:]), reversed(widths[:-1]), strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose3d(a, a, 2, stride=2, bias=False) for a, _ in narrowing)
        self.merge = nn.ModuleList(_DoubleConv3d(a + w, w, w) for a, w in narrowing)
        self.head = nn.Conv3d(widths[0], classes, 1)
        self.apply(he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits `(N, K, D - 88, H - 88, W - 88)` of volumes `(N, C, D, H, W)` at depth 3."""
        carried = []
        for level in self.down:
            carried.append(level(x))  # (N, 64, 112, 128, 128) (N, 128, 52, 60, 60) (N, 256, 22, 26, 26)
            x = F.max_pool3d(carried[-1], 2)  # (N, 64, 56, 64, 64) (N, 128, 26, 30, 30) (N, 256, 11, 13, 13)
        x = self.bottom(x)  # (N, 512, 7, 9, 9)
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)  # (N, 512, 14, 18, 18) (N, 256, 20, 28, 28) (N, 128, 32, 48, 48)
            x = merge(torch.cat([x, _centre(carried.pop(), x)], dim=1))
            # (N, 256, 10, 14, 14) (N, 128, 16, 24, 24) (N, 64, 28, 44, 44)
        return self.head(x)  # type: ignore[no-any-return]  # (N, K, 28, 44, 44)

    def encoder(self) -> Iterable[nn.Module]:
        """Return the levels before each pooling, and the bottom."""
        return [self.down, self.bottom]

    def output_side(self, side: int) -> int | None:
        """Output side in voxels at depth 3: 8k + 4 -> 8k - 84."""
        return output_size(side, self.depth)


def _centre(skip: Tensor, like: Tensor) -> Tensor:
    """Crop the centre of `skip` to the size of `like`."""
    first = [(have - want) // 2 for have, want in zip(skip.shape[2:], like.shape[2:], strict=True)]
    z, y, x = (slice(f, f + n) for f, n in zip(first, like.shape[2:], strict=True))
    return skip[:, :, z, y, x]
