"""Random augmentation: drawn once, then applied to image, labels and weights alike.

After Ronneberger et al. 2015, section 3.1: shift, rotation, elastic deformation from random displacements on a coarse
3×3 grid with a standard deviation of 10 px, grey-value variation; flips and scale on top. Volumes are rotated and displaced
within their slices, which lie further apart than their pixels do, and flipped along every axis. Space beyond the image is
filled by the runtime's own mirroring, so that no training window shows what no window at run time can show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.pipeline import Array, Float, cut
from seg_runtime.support import DataError

Coordinates = NDArray[np.float64]


@dataclass(frozen=True)
class Draw:
    """One random change, drawn, not yet applied."""

    matrix: NDArray[np.float64]
    """`(A, A)` from window to image directions, A spatial axes: rotation, zoom, flip."""
    displacement_px: NDArray[np.float64]
    """`(2, 3, 3)`, of the last two axes, on a grid whose corners are the window's."""
    contrast: float
    brightness: float
    gamma: float
    colour: float
    """Largest of the changes of a single channel."""
    noise: float
    seed: int
    """Of what has as many values as the window has channels or pixels: colour and noise."""

    def coordinates(
        self, centre: Sequence[float] | NDArray[np.float64], shape: tuple[int, ...], on_pixels: bool = False
    ) -> Coordinates:
        """Where each pixel of a window comes from.

        Args:
            centre: point of the image, in px, that the window's centre shows when nothing displaces it.
            shape: `(H, W)` or `(D, H, W)` of the window.
            on_pixels: move them by less than a pixel, so that the window's first pixel lies on one of the image. Where nothing
                but flips was drawn, all others do, too, and nothing is interpolated.

        Returns:
            `(A, *shape)` float64 image coordinates, for two axes (row, column), possibly beyond the image.
        """
        axes = [np.arange(n) - (n - 1) / 2 for n in shape]
        offsets = np.stack(np.meshgrid(*axes, indexing="ij"))  # (A, *shape)
        field = _elastic_field(self.displacement_px, (shape[-2], shape[-1]))  # (2, H, W)
        offsets[-2:] += field.reshape(2, *(1,) * (len(shape) - 2), *field.shape[1:])
        middle = np.asarray(centre, np.float64).reshape(-1, *(1,) * len(shape))
        where: Coordinates = np.tensordot(self.matrix, offsets, axes=1) + middle
        if on_pixels:
            first = where.reshape(len(where), -1)[:, 0].reshape(middle.shape)
            where += np.rint(first) - first
        return where

    def vary_grey(self, window: Float) -> Float:
        """Gamma, contrast, brightness, colour and noise on a normalised window `(*spatial, C)` float32."""
        low, high = float(window.min()), float(window.max())
        spread = float(window.std())
        if high - low < 1e-6:
            return window
        values: Any = low + (high - low) * ((window - low) / (high - low)) ** np.float32(self.gamma)
        mean = float(values.mean())
        values = (values - mean) * self.contrast + mean + self.brightness * spread
        rng = np.random.default_rng(self.seed)
        if self.colour > 0 and window.shape[-1] > 1:
            factor, offset = rng.uniform(-self.colour, self.colour, (2, window.shape[-1]))
            spatial = tuple(range(values.ndim - 1))
            means, spreads = values.mean(axis=spatial), values.std(axis=spatial)
            values = (
                (values - means) * np.exp(factor).astype(np.float32) + means + (offset * spreads).astype(np.float32)
            )
        if self.noise > 0:
            noise = rng.standard_normal(window.shape, np.float32)
            values = values + np.float32(self.noise * spread) * noise
        return np.asarray(values, np.float32)


@dataclass(frozen=True)
class Augmentation:
    """How far each random change may go. All zeros and False: none."""

    elastic_px: float = 10.0
    """Standard deviation of the displacements on the 3×3 grid."""
    rotation_deg: float = 180.0
    """Rotation by any angle up to this, either way."""
    scale: float = 0.1
    """Zoom between 1 - scale and 1 + scale."""
    shift: float = 0.05
    """Share of the image by which a window that shows all of it may be off; tiled windows lie anywhere anyway."""
    flips: str = "all"
    """Axes that are mirrored in half of the windows: `all`, `horizontal` (left and right alone) or `none`; `square` mirrors
    all and, as often, swaps rows and columns: the eight symmetries of the square, without a pixel between pixels."""
    contrast: float = 0.15
    """Factor on the normalised values, e^±contrast, about their mean."""
    brightness: float = 0.1
    """Offset of the normalised values, in units of the window's standard deviation."""
    gamma: float = 0.15
    """Exponent e^±gamma on the values between the window's minimum and maximum."""
    colour: float = 0.0
    """Contrast e^±colour and brightness ±colour of each channel for itself, in units of its standard deviation, for images
    of several channels: another stain or lamp moves them apart, and a model that knows one hue only fails on the next."""
    noise: float = 0.0
    """Largest standard deviation of additive noise, in units of the window's."""

    @property
    def every_way_up(self) -> bool:
        """Whether pictures turn up turned by every quarter and mirrored, which is what `--tta` averages over."""
        quarter = {"square": 0.0, "all": 90.0, "horizontal": 180.0}  # both mirrors make half a turn together
        return self.flips != "none" and self.rotation_deg >= quarter[self.flips]

    @classmethod
    def parse(cls, text: str) -> Augmentation:
        """The value of `--augment`: one of `AUGMENTATIONS`, and settings on top, such as `slight,rotation=10,flips=horizontal`.

        Settings are the fields of Augmentation without their units.

        Raises:
            DataError: no such name or setting, a setting twice, or a value that it cannot have.
        """
        name, *settings = (part.strip() for part in text.split(","))
        if name not in AUGMENTATIONS:
            raise DataError(f"--augment {text}", f"auto, {', '.join(AUGMENTATIONS)}", "choose one, settings after it")
        known = {f.name.split("_")[0]: f.name for f in fields(cls)}
        changes: dict[str, Any] = {}
        for setting in settings:
            key, _, value = setting.partition("=")
            if known.get(key, "") in ("", *changes):
                problem = f"--augment {text} with the setting {key!r}{' twice' if key in known else ''}"
                raise DataError(
                    problem, f"{', '.join(known)}, each once", "such as slight,rotation=10,flips=horizontal"
                )
            changes[known[key]] = _setting(known[key], value, setting)
        return replace(AUGMENTATIONS[name], **changes)

    def draw(self, rng: np.random.Generator, axes: int = 2) -> Draw:
        """Draw one change of a window with 2 or 3 spatial axes; takes the same number of random values whatever the settings are."""
        angle = np.deg2rad(rng.uniform(-self.rotation_deg, self.rotation_deg))
        zoom = 1 + rng.uniform(-self.scale, self.scale)
        every = np.ones(axes, bool)
        mirrored = {
            "square": every,
            "all": every,
            "horizontal": np.arange(axes) == axes - 1,
            "none": np.zeros(axes, bool),
        }
        flips = np.where((rng.random(axes) < 0.5) & mirrored[self.flips], -1.0, 1.0)
        rotation = np.eye(axes)
        rotation[-2:, -2:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        drawn = Draw(
            matrix=rotation @ np.diag(flips) / zoom,
            displacement_px=rng.normal(0, 1, (2, 3, 3)) * self.elastic_px,
            contrast=float(np.exp(rng.uniform(-self.contrast, self.contrast))),
            brightness=float(rng.uniform(-self.brightness, self.brightness)),
            gamma=float(np.exp(rng.uniform(-self.gamma, self.gamma))),
            colour=self.colour,
            noise=float(rng.uniform(0, self.noise)),
            seed=int(rng.integers(1 << 31)),
        )
        if self.flips == "square" and drawn.seed & 1:
            drawn.matrix[:, -2:] = drawn.matrix[:, :-3:-1].copy()
        return drawn


NONE = Augmentation(0, 0, 0, 0, "none", 0, 0, 0, 0, 0)
AUGMENTATIONS = {
    "none": NONE,
    "slight": Augmentation(),
    "wide": replace(Augmentation(), gamma=0.3, contrast=0.3, brightness=0.2, colour=0.2, noise=0.1),
}
_FLIPS = ("square", "all", "horizontal", "none")
_LARGEST = {"elastic_px": 1000.0, "rotation_deg": 180.0, "scale": 0.9}  # of settings; 5 of the others


def _setting(field: str, value: str, setting: str) -> float | str:
    if field == "flips":
        if value not in _FLIPS:
            raise DataError(f"--augment with {setting}", f"flips={' or '.join(_FLIPS)}", "choose one")
        return value
    largest = _LARGEST.get(field, 5.0)
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= largest:
        raise DataError(f"--augment with {setting}", f"a number from 0 to {largest:g}", "correct it")
    return number


def _elastic_field(displacement_px: NDArray[np.float64], shape: tuple[int, int]) -> Coordinates:
    """Displacements `(2, 3, 3)` at control points, the outer ones on the window's corners -> `(2, H, W)`, cubic B-spline."""
    if not displacement_px.any():
        return np.zeros((2, *shape))
    rows, columns = (np.linspace(0, n - 1, m) for n, m in zip(displacement_px.shape[1:], shape, strict=True))
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    return np.stack([ndimage.map_coordinates(d, grid, order=3, mode="mirror") for d in displacement_px])


def warp(image: Array, where: Coordinates, order: Literal[0, 1, 3]) -> Array:
    """Read `(*spatial, C)` at `where` `(A, *shape)`: spline of `order` (0 keeps values, 3 is bicubic), mirrored beyond it.

    Returns:
        `(*shape, C)`; float32 for orders above 0, else the image's dtype.
    """
    reach = 0 if order == 0 else 3  # neighbours that a cubic spline leans on before its prefilter has decayed
    inner = tuple(range(1, where.ndim))
    first = np.floor(where.min(axis=inner)).astype(int) - reach
    last = np.ceil(where.max(axis=inner)).astype(int) + reach + 1
    patch = cut(image, tuple(first), tuple(last - first))
    local = where - first.reshape(-1, *(1,) * len(inner))
    if order == 0:
        exact: Array = patch[tuple(np.rint(local).astype(np.intp))]
        return exact
    channels = [
        ndimage.map_coordinates(patch[..., c].astype(np.float32), local, order=order, mode="mirror", output=np.float32)
        for c in range(patch.shape[-1])
    ]
    return np.stack(channels, axis=-1)
