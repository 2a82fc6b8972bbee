"""What the networks share: sizes, margins, initial weights.

Padded convolutions still tile exactly, since a network answers only for pixels that see no padding. Zeros around a window
differ from what lies there in the image, so near its border a padded network answers otherwise than in one pass over the whole
image. A ring, the `Margin`, is therefore dropped; the runtime reads that ring from the image, as it does for valid convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seg_runtime.support import SegError
from torch import Tensor, nn

ANSWER_PX = 384
"""Side of the answer to a default window, as large as the step of the U-Net's 388 px."""


def reach_px(down: Sequence[int], up: Sequence[int], kernel: int = 2) -> int:
    """How far the answer of an aligned square, its sides multiples of the stride, sees beyond that square.

    Counted from the answer back to the image, over the way through the bottom; skips are shorter. Poolings are 2×2.

    Args:
        down: 3×3 convolutions of each level of the contracting path, from the top, those of the bottom last.
        up: of each level of the expanding path, from the top.
        kernel: side of the transposed convolutions of stride 2; 3, with torch's padding and output padding of 1, reads one
            more pixel to the right and below.

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
    """The ring of a window that a padded network drops.

    Attributes:
        px: its width.
        reach_px: how far the network sees, see the function of that name.
        stride: of the network.
    """

    px: int
    reach_px: int
    stride: int

    @classmethod
    def of(cls, option: int | None, reach_px: int, stride: int) -> Margin:
        """The ring that an option says; None for the smallest multiple of the stride that covers the reach.

        Raises:
            SegError: negative, or no multiple of the stride.
        """
        enough = -(-reach_px // stride) * stride
        if option is not None and (option < 0 or option % stride):
            fix = f"leave --margin out for {enough}, or give 0 where whole images are taken"
            raise SegError(f"margin {option}", f"0 or a multiple of {stride}", fix)
        return cls(enough if option is None else option, reach_px, stride)

    def dropped(self, x: Tensor) -> Tensor:
        """`(N, K, H, W)` without the ring."""
        return x[..., self.px : -self.px, self.px : -self.px] if self.px else x

    def answered_side(self, side: int) -> int | None:
        """Side of the answer to a window of `side` px; None where a pooling would meet an odd size."""
        return side - 2 * self.px if side % self.stride == 0 and side > 2 * self.px else None

    def check_tiling(self) -> None:
        """Raise SegError where windows without the ring would show seams."""
        if self.px < self.reach_px:
            fix = "leave --margin out, or take the whole image in one window with --geometry fit"
            enough = Margin.of(None, self.reach_px, self.stride).px
            raise SegError(f"margin {self.px} with geometry tile", f"{enough} or more", fix)


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


def centre(x: Tensor, height: int, width: int) -> Tensor:
    """The middle `(N, C, height, width)` of larger maps; maps of that size as they are."""
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width] if top or left else x


def he_normal(module: nn.Module) -> None:
    """Normal weights of std √(2 / N), N inputs per output value (He et al. 2015, arXiv 1502.01852); for `Module.apply`."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Conv3d, nn.ConvTranspose3d)):
        taps = float(math.prod(module.kernel_size))
        if isinstance(module, (nn.ConvTranspose2d, nn.ConvTranspose3d)):
            taps /= math.prod(module.stride)  # an output pixel gets only those taps that the stride leads to it
        nn.init.normal_(module.weight, std=math.sqrt(2 / (module.in_channels * taps)))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
