"""Shared parts of the networks: sizes, margins and initial weights.

Padded networks can be tiled exactly too, because only the pixels that padding does not affect are used. The zeros around
a window differ from the image content there, so near the border of a window the logits differ from those of one pass
over the whole image. This ring, the `Margin`, is discarded. The runtime reads the ring from the image, as it does for
valid convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seg_runtime.support import SegError
from torch import Tensor, nn

ANSWER_PX = 384
"""Output side of a default window, as large as the step of the 388 px of the U-Net."""


def reach_px(down: Sequence[int], up: Sequence[int], kernel: int = 2) -> int:
    """Compute how far the receptive field of an aligned output square extends beyond that square.

    The sides of an aligned square are multiples of the stride. The reach is counted from the output back to the image,
    along the path through the bottom; skip connections reach less far. Poolings are 2×2.

    Args:
        down: numbers of 3×3 convolutions of the levels of the contracting path, from the top, the bottom last.
        up: numbers of 3×3 convolutions of the levels of the expanding path, from the top.
        kernel: side of the transposed convolutions of stride 2. With 3, and padding and output padding of 1 in PyTorch,
            they read one more pixel to the right and below.

    >>> reach_px((2, 2, 2, 2, 2), (2, 2, 2, 2))
    94
    """
    px = 0
    for convolutions in up:
        px += convolutions
        px = px // 2 + 1 if kernel == 3 else (px + 1) // 2
    for level, convolutions in enumerate(reversed(down)):
        px = (px if level == 0 else 2 * px) + convolutions
    return px


@dataclass(frozen=True)
class Margin:
    """The ring of a window that a padded network discards.

    Attributes:
        px: width of the ring.
        reach_px: reach of the receptive field, see the function `reach_px`.
        stride: stride of the network.
    """

    px: int
    reach_px: int
    stride: int

    @classmethod
    def of(cls, option: int | None, reach_px: int, stride: int) -> Margin:
        """Make the ring for an option; None uses the smallest multiple of the stride that covers the reach.

        Raises:
            SegError: if the option is negative or not a multiple of the stride.
        """
        enough = -(-reach_px // stride) * stride
        if option is not None and (option < 0 or option % stride):
            advice = f"leave out --margin for {enough}, or give 0 if the network takes whole images"
            raise SegError(f"the margin is {option}", f"0 or a multiple of {stride}", advice)
        return cls(enough if option is None else option, reach_px, stride)

    def dropped(self, x: Tensor) -> Tensor:
        """Crop the ring from `(N, K, H, W)`."""
        return x[..., self.px : -self.px, self.px : -self.px] if self.px else x

    def exact_side(self, side: int) -> int | None:
        """Output side of a window of `side` px; None if a pooling would get an odd size."""
        return side - 2 * self.px if side % self.stride == 0 and side > 2 * self.px else None

    def check_tiling(self) -> None:
        """Raise SegError if tiles would show seams."""
        if self.px < self.reach_px:
            advice = "leave out --margin, or use --geometry fit to put the whole image into one window"
            enough = Margin.of(None, self.reach_px, self.stride).px
            raise SegError(f"the margin is {self.px} with geometry tile", f"{enough} or more", advice)


def output_size(size: int, depth: int = 4) -> int | None:
    """Output side in px of an input of `size` px; None if a pooling would get an odd size.

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


def centre(x: Tensor, height: int, width: int) -> Tensor:
    """Crop the centre `(N, C, height, width)` of maps; maps of that size are returned unchanged."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width] if top or left else x


def he_normal(module: nn.Module) -> None:
    """Initialise weights N(0, 2 / N) for N inputs per output value (He et al. 2015, arXiv 1502.01852); for `Module.apply`."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Conv3d, nn.ConvTranspose3d)):
        if module.weight.is_meta:
            return  # shapes alone: torch would import its compiler, which takes seconds
        taps = float(math.prod(module.kernel_size))
        if isinstance(module, (nn.ConvTranspose2d, nn.ConvTranspose3d)):
            taps /= math.prod(
                module.stride
            )  # each output pixel gets only the taps that match its position in the stride
        nn.init.normal_(module.weight, std=math.sqrt(2 / (module.in_channels * taps)))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
