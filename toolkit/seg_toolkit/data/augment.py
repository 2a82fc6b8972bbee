"""Random augmentation. Parameters are drawn once and applied to image, labels and weights alike.

As in Ronneberger et al. 2015, section 3.1: shift, rotation, elastic deformation from random displacements on a coarse
3×3 grid with a standard deviation of 10 px, and grey-value variation. Flips and scaling are added. Volumes are rotated
and deformed within slices only, because the distance between slices is larger than that between pixels, and are flipped
along every axis. The area beyond the image is filled by the same mirroring that the runtime uses, so training windows
show nothing that windows at run time cannot show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.pipeline import Array, Float, cut
from seg_runtime.support import OptionsError

Coordinates = NDArray[np.float64]


@dataclass(frozen=True)
class Draw:
    """Parameters of one random change."""

    matrix: NDArray[np.float64]
    """`(A, A)` matrix from window to image directions for A spatial axes: rotation, zoom and flip."""
    displacement_px: NDArray[np.float64]
    """`(2, 3, 3)` displacements along the last two axes, on a grid with the corners of the window."""
    contrast: float
    brightness: float
    gamma: float
    colour: float
    """Largest change of a single channel."""
    noise: float
    seed: int
    """Seed of the values that are drawn per channel (colour) or per pixel (noise)."""

    def coordinates(
        self, centre: Sequence[float] | NDArray[np.float64], shape: tuple[int, ...], on_pixels: bool = False
    ) -> Coordinates:
        """Compute where each pixel of a window comes from.

        Args:
            centre: point of the image in px that the centre of the window shows before deformation.
            shape: shape of the window, `(H, W)` or `(D, H, W)`.
            on_pixels: shift the coordinates by less than a pixel, so that the first pixel of the window is a pixel of the
                image. If only flips were drawn, this holds for all pixels, and nothing is interpolated.

        Returns:
            Image coordinates `(A, *shape)` float64, for two axes (row, column). They may be outside the image.
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
        """Apply gamma, contrast, brightness, colour and noise to a normalised window `(*spatial, C)` float32."""
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
    """Limits of each random change. Zeros and `none` switch a change off."""

    elastic_px: float = 10.0
    """Standard deviation of the displacements on the 3×3 grid."""
    rotation_deg: float = 180.0
    """Largest rotation in either direction."""
    scale: float = 0.1
    """Zoom between 1 - scale and 1 + scale."""
    shift: float = 0.05
    """Largest shift of a window that shows the whole image, as a fraction of the image. Tiled windows are placed anywhere."""
    flips: str = "all"
    """Axes that are mirrored in half of the windows: `all`, `horizontal` (left and right only) or `none`. `square` mirrors
    all axes and swaps rows and columns in half of the windows: the eight symmetries of the square, without interpolation."""
    contrast: float = 0.15
    """Factor e^±contrast on the normalised values about their mean."""
    brightness: float = 0.1
    """Offset of the normalised values, in units of the window's standard deviation."""
    gamma: float = 0.15
    """Exponent e^±gamma on the values between the window's minimum and maximum."""
    colour: float = 0.0
    """Contrast e^±colour and brightness ±colour of each channel separately, in units of its standard deviation, for images
    with several channels. Stains and lamps change channels independently, and a model that knows one hue fails on others."""
    noise: float = 0.0
    """Largest standard deviation of additive noise, in units of the window's standard deviation."""

    @property
    def every_way_up(self) -> bool:
        """Whether images occur in all quarter turns and mirrored, as `--tta` averages over them."""
        quarter = {"square": 0.0, "all": 90.0, "horizontal": 180.0}  # both mirrorings together are half a turn
        return self.flips != "none" and self.rotation_deg >= quarter[self.flips]

    @classmethod
    def parse(cls, text: str) -> Augmentation:
        """Parse `--augment`: a name in `AUGMENTATIONS`, optionally with settings, as `slight,rotation=10,flips=horizontal`.

        Settings are the fields of Augmentation without their units.

        Raises:
            OptionsError: if a name or setting is unknown, a setting is repeated, or its value is out of range.
        """
        name, *settings = (part.strip() for part in text.split(","))
        if name not in AUGMENTATIONS:
            problem = f"--augment {text} does not begin with a known name"
            raise OptionsError(problem, f"auto, {', '.join(AUGMENTATIONS)}", "choose one, and add settings after it")
        known = {f.name.split("_")[0]: f.name for f in fields(cls)}
        changes: dict[str, Any] = {}
        for setting in settings:
            key, _, value = setting.partition("=")
            if known.get(key, "") in ("", *changes):
                problem = f"--augment {text} {'repeats the' if key in known else 'has the unknown'} setting {key!r}"
                raise OptionsError(
                    problem, f"{', '.join(known)}, each once", "write it like slight,rotation=10,flips=horizontal"
                )
            changes[known[key]] = _setting(known[key], value, setting)
        return replace(AUGMENTATIONS[name], **changes)

    def draw(self, rng: np.random.Generator, axes: int = 2) -> Draw:
        """Draw one change of a window with 2 or 3 spatial axes. The number of random values drawn does not depend on settings."""
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
_LARGEST = {"elastic_px": 1000.0, "rotation_deg": 180.0, "scale": 0.9}  # largest values of settings; 5 for all others


def _setting(field: str, value: str, setting: str) -> float | str:
    if field == "flips":
        if value not in _FLIPS:
            raise OptionsError(f"--augment has {setting}", f"flips={' or '.join(_FLIPS)}", "choose one of them")
        return value
    largest = _LARGEST.get(field, 5.0)
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= largest:
        raise OptionsError(f"--augment has {setting}", f"a number from 0 to {largest:g}", "correct the number")
    return number


def _elastic_field(displacement_px: NDArray[np.float64], shape: tuple[int, int]) -> Coordinates:
    """Interpolate displacements `(2, 3, 3)`, the outer ones at the corners of the window, to `(2, H, W)` by cubic B-splines."""
    if not displacement_px.any():
        return np.zeros((2, *shape))
    rows, columns = (np.linspace(0, n - 1, m) for n, m in zip(displacement_px.shape[1:], shape, strict=True))
    grid = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    return np.stack([ndimage.map_coordinates(d, grid, order=3, mode="mirror") for d in displacement_px])


def warp(image: Array, where: Coordinates, order: Literal[0, 1, 3]) -> Array:
    """Sample an image `(*spatial, C)` at the coordinates `where` `(A, *shape)`, mirrored at its edges.

    Args:
        image: `(*spatial, C)`.
        where: `(A, *shape)`.
        order: order of the spline; 0 keeps values, 3 is bicubic.

    Returns:
        `(*shape, C)`; float32 for orders above 0, else the dtype of the image.
    """
    reach = 0 if order == 0 else 3  # neighbours that a cubic spline uses until its prefilter has decayed
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
