"""Padded convolutions that still tile exactly: a network answers only for pixels that see no padding.

Zeros around a window are not what lies there in the image, so near its border a padded network answers otherwise than
in one pass over the whole image. A ring of `margin_px` is therefore dropped; the runtime reads that ring from the image,
as it does for valid convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

from seg_runtime.support.errors import SegError
from torch import Tensor

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


def margin_px(asked: int | None, reach: int, stride: int) -> int:
    """The ring to drop: what was asked for, or the smallest multiple of the stride that covers the reach.

    Raises:
        SegError: negative, or no multiple of the stride.
    """
    if asked is None:
        return -(-reach // stride) * stride
    if asked < 0 or asked % stride:
        fix = f"leave --margin out for {-(-reach // stride) * stride}, or give 0 where whole images are taken"
        raise SegError(f"margin {asked}", f"0 or a multiple of {stride}", fix)
    return asked


def without_margin(x: Tensor, margin: int) -> Tensor:
    """`(N, K, H, W)` without a ring of `margin` px."""
    return x[..., margin:-margin, margin:-margin] if margin else x


def answered_side(side: int, margin: int, stride: int) -> int | None:
    """Side of the answer to a window of `side` px; None where a pooling would meet an odd size."""
    return side - 2 * margin if side % stride == 0 and side > 2 * margin else None


def check_margin(margin: int, reach: int, stride: int) -> None:
    """Raise SegError where windows that drop `margin` px would show seams."""
    if margin < reach:
        fix = "leave --margin out, or take the whole image in one window with --geometry fit"
        raise SegError(f"margin {margin} with geometry tile", f"{margin_px(None, reach, stride)} or more", fix)
