"""Resample images to the pixel size that a model was trained on, and results back to the grid of the image."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ..model import MAX_PIXELS, Acquisition, Policy
from ..support import ImageError, described_length
from .geometry import resized, unframe
from .intensity import Array

RESAMPLE = ("auto", "never", "always")
"""When to resample: if a side of a pixel differs by more than a quarter, never, or always."""
LIKE = 1.25
_BYTES = 4  # of a pixel, to which limits of pixels refer


@dataclass(frozen=True)
class Scaling:
    """The change of an image's size in px before the network.

    Attributes:
        shape: `(*spatial)` of the image.
        scaled: `(*spatial)` for the network.
        spacing_mm: sides of a pixel for the network, along the last axes; empty if nothing changes.
    """

    shape: tuple[int, ...]
    scaled: tuple[int, ...]
    spacing_mm: tuple[float, ...] = ()

    @classmethod
    def of(cls, shape: tuple[int, ...], acquisition: Acquisition, policy: Policy, mode: str = "auto") -> Scaling:
        """Choose the size for an image.

        Each side of a pixel becomes the nearest one of those of the training images. Nothing changes if the size of the
        pixels is unknown, of the image or of the training images.

        Args:
            shape: `(*spatial)` of the image.
            acquisition: how it was acquired.
            policy: what the model was made for.
            mode: one of `RESAMPLE`.
        """
        spans = policy.trained_spacing_mm
        sides = acquisition.spacing_mm[-len(spans) :] if spans else ()
        if mode == "never" or not spans or len(sides) < len(spans):
            return cls(shape, shape)
        target = [min(max(side, low), high) for side, (low, high) in zip(sides, spans, strict=True)]
        factors = [side / wanted for side, wanted in zip(sides, target, strict=True)]
        if mode == "auto" and all(1 / LIKE <= factor <= LIKE for factor in factors):
            return cls(shape, shape)
        lead, own = shape[: -len(spans)], shape[-len(spans) :]
        scaled = (*lead, *(max(1, round(n * factor)) for n, factor in zip(own, factors, strict=True)))
        return cls(shape, scaled, tuple(target)) if scaled != shape else cls(shape, shape)

    def acquired(self, acquisition: Acquisition) -> Acquisition:
        """Return the acquisition with the pixels that the network sees."""
        if not self:
            return acquisition
        lead = acquisition.spacing_mm[: -len(self.spacing_mm)]
        return replace(acquisition, spacing_mm=(*lead, *self.spacing_mm))

    def __bool__(self) -> bool:
        """Whether anything changes."""
        return self.scaled != self.shape

    def check_size(self, image: Array, name: str, max_pixels: int = MAX_PIXELS) -> None:
        """Check that an image `(*spatial, C)` does not become too large.

        Args:
            image: the image.
            name: name of the image, for errors.
            max_pixels: largest number of px of 4 bytes, unless the image has more already.

        Raises:
            ImageError: it does.
        """
        before, after = math.prod(self.shape), math.prod(self.scaled)
        if after <= before or after * max(1.0, image.shape[-1] * image.itemsize / _BYTES) <= max_pixels:
            return
        size, scaled = (" × ".join(map(str, shape)) for shape in (self.shape, self.scaled))
        sides = " × ".join(map(described_length, self.spacing_mm))
        problem = f"{name} has {size} px, and {scaled} px with pixels of the size that the model takes ({sides})"
        advice = (
            "check the size of its pixels (--pixel-size), or pass --resample never or a higher --max-pixels to seg-run"
        )
        raise ImageError(problem, f"at most {max_pixels} px of {_BYTES} bytes", advice)

    def there(self, image: Array) -> Array:
        """Resample an image `(*spatial, C)`: bicubic and antialiased, axis by axis."""
        if not self:
            return image
        count = len(self.shape) - len(self.spacing_mm)  # slices of a model of images stay as they are
        if count:
            return np.stack([resized(plane, self.scaled[count:]) for plane in image])
        return resized(image, self.scaled)

    def back(self, values: Array) -> Array:
        """Resample a result `(…, *spatial)` to the grid of the image, with nearest-neighbour interpolation."""
        return unframe(values, self.shape)
