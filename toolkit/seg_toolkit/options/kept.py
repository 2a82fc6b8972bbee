"""Choices that a training takes over from an earlier one, instead of making them from the images."""

from __future__ import annotations

from dataclasses import dataclass

from seg_runtime.model import Intensity, ObjectSpec, OutputInfo


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Choices of an earlier training; None or empty for those that are made from the images.

    Attributes:
        why: reason that is shown, such as "as in model.pt".
        channels: number of image channels.
        intensity: how grey values become floats. If its numbers do not fit the channels, only its method is kept.
        pixels: kind of grey values that the intensity is for, `integer` or `float`.
        geometry: how an image becomes windows.
        outputs: outputs of a regression with their scales.
        objects: how objects are separated, and how large the smallest one is.
    """

    why: str = ""
    channels: int | None = None
    intensity: Intensity | None = None
    pixels: str = ""
    geometry: str = ""
    outputs: tuple[OutputInfo, ...] = ()
    objects: ObjectSpec | None = None
