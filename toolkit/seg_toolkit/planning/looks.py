"""What an image looks like: small figures by which each image is compared with all others, and with its mask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

SIDE = 64
"""Side of a thumbnail in px."""
_LARGEST_PX = 512  # side of an image in which outlines are compared
_BRIGHTEST = 99  # percentile of the gradient, so that a few edges do not count for all


@dataclass(frozen=True)
class Look:
    """What an image looks like.

    Attributes:
        thumbnail: `(SIDE, SIDE)` float16, grey, with mean 0 and spread 1; all 0 if the image is uniform.
        contrast: grey value of the foreground minus that of the background, in spreads of the image; None if one of
            them is missing.
        fits: gradient of the image along the outlines of the mask, its mean being 1, for the mask as it is and in the
            other poses that have its size: see `POSES`. Empty without outlines.
        outline_px: pixels of the outlines, in an image whose sides are at most 512 px.
    """

    thumbnail: NDArray[np.float16] = field(default_factory=lambda: np.zeros((SIDE, SIDE), np.float16))
    contrast: float | None = None
    fits: tuple[float, ...] = ()
    outline_px: int = 0

    @classmethod
    def of(cls, image: NDArray[Any], labels: NDArray[np.uint8]) -> Look:
        """Measure an image `(*spatial, C)` with its labels `(*spatial)`; of a volume, the middle slice."""
        if labels.ndim > 2:
            middle = len(labels) // 2
            image, labels = image[middle], labels[middle]
        grey = (
            image[..., :3].mean(axis=-1, dtype=np.float32)
            if image.shape[-1] in (3, 4)
            else image[..., 0].astype(np.float32)
        )
        spread, inside = float(grey.std()), labels > 0
        contrast = None
        if spread and inside.any() and not inside.all():
            contrast = float((grey[inside].mean() - grey[~inside].mean()) / spread)
        fits, outline_px = _fits(grey, labels) if spread else ((), 0)
        return cls(_thumbnail(grey), contrast, fits, outline_px)


def _poses(array: NDArray[Any]) -> list[NDArray[Any]]:
    """Return an array `(H, W)` as it is, mirrored and turned by 180°, and the four others if it is a square.

    The order is that of `POSES`.
    """
    same = [array, array[:, ::-1], array[::-1], array[::-1, ::-1]]
    return same if array.shape[0] != array.shape[1] else [*same, *(pose.T for pose in same)]


POSES = (
    "as it is", "mirrored from left to right", "mirrored from top to bottom", "turned by 180°",
    "mirrored along the diagonal", "turned by 90° to the left", "turned by 90° to the right", "mirrored along the other diagonal",
)  # fmt: skip
"""What `_poses` does, in order."""


def _thumbnail(grey: NDArray[np.float32]) -> NDArray[np.float16]:
    small = np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BOX))
    spread = float(small.std())
    if not np.isfinite(spread) or spread <= 1e-6 * max(1.0, float(np.abs(small).max())):
        return np.zeros((SIDE, SIDE), np.float16)
    return np.asarray((small - small.mean()) / spread, np.float16)


def _fits(grey: NDArray[np.float32], labels: NDArray[np.uint8]) -> tuple[tuple[float, ...], int]:
    """Measure `Look.fits` and `Look.outline_px`."""
    factor = -(-max(grey.shape) // _LARGEST_PX)
    if factor > 1:
        grey, labels = (
            np.asarray(Image.fromarray(grey).reduce(factor)),
            labels[factor // 2 :: factor, factor // 2 :: factor],
        )
        height, width = (min(ends) for ends in zip(grey.shape, labels.shape, strict=True))
        grey, labels = grey[:height, :width], labels[:height, :width]
    slope = ndimage.gaussian_gradient_magnitude(grey, 1.0)
    slope = np.minimum(slope, np.percentile(slope, _BRIGHTEST))
    outline = _outline(labels)
    mean = float(slope.mean())
    if not outline.any() or not mean:
        return (), 0
    return tuple(float(slope[pose].mean()) / mean for pose in _poses(outline)), int(outline.sum())


def _outline(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels `(H, W)` on both sides of an edge between labels, so that no pose is favoured."""
    edge = np.zeros(labels.shape, bool)
    across, down = labels[:, :-1] != labels[:, 1:], labels[:-1] != labels[1:]
    edge[:, :-1] |= across
    edge[:, 1:] |= across
    edge[:-1] |= down
    edge[1:] |= down
    return edge
