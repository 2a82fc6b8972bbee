"""The images that a network takes: the part of the contract that `formats/` and `pipeline/` use."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .nested import need

PIXELS = ("integer", "float")
INTENSITIES = ("scale", "standardize", "window", "zscore")


@dataclass(frozen=True)
class Intensity:
    """How grey values become floats. Unused parameters are empty.

    - `scale`: x / dtype maximum (255, 65535; 1 for floats).
    - `standardize`: x / dtype maximum, then (x - mean) / std with `mean` and `std` of the training set, one per
      channel.
    - `window`: (x - (level - width / 2)) / width, clipped to 0..1, in raw grey values (CT: Hounsfield units).
    - `zscore`: (x - mean) / max(std, std_floor) per image and channel, in units of x / dtype maximum. The floor
      prevents the noise of an empty image from being amplified to the contrast of a full one.
    """

    method: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    level: float = 0.0
    width: float = 0.0
    std_floor: float = 0.0

    def __post_init__(self) -> None:
        """Check the parameters of the method."""
        need(self.method in INTENSITIES, f"intensity {self.method!r}", " or ".join(INTENSITIES))
        numbers = (*self.mean, *self.std, self.level, self.width, self.std_floor)
        need(all(map(math.isfinite, numbers)), "the intensity parameters are not finite", "finite numbers")
        need(all(s > 0 for s in self.std), f"std {self.std}", "positive values")
        need(self.method != "window" or self.width > 0, f"intensity window width {self.width}", "a positive width")
        need(self.method != "zscore" or self.std_floor > 0, f"zscore std_floor {self.std_floor}", "a positive number")


@dataclass(frozen=True)
class Voxels:
    """The voxel grid of a molecular structure, see `formats/structures/`.

    Attributes:
        side_angstrom: side of a voxel.
        channels: names of the channels.
    """

    side_angstrom: float
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Check the fields."""
        side = self.side_angstrom
        positive = type(side) in (int, float) and math.isfinite(side) and side > 0
        need(positive, f"voxel side {side!r} Å", "a positive number")
        need(all(isinstance(n, str) and n for n in self.channels), f"voxel channels {self.channels}", "non-empty names")


@dataclass(frozen=True)
class ChannelFile:
    """A channel that is stored in a separate file.

    Attributes:
        ending: end of the file's name before its suffix, such as `_dapi`.
        factor: factor by which its image is enlarged: each pixel becomes `factor` px along every axis.
    """

    ending: str
    factor: int = 1

    def __post_init__(self) -> None:
        """Check the ending and the factor."""
        named = isinstance(self.ending, str) and self.ending and "/" not in self.ending
        need(bool(named), f"channel file ending {self.ending!r}", "the end of a file name, such as '_dapi'")
        need(type(self.factor) is int and self.factor >= 1, f"channel file factor {self.factor}", "1 or more")


@dataclass(frozen=True)
class Input:
    """The images that a network takes.

    Attributes:
        channels: number of channels, e.g. 1 for grey, 3 for RGB.
        intensity: how grey values become floats.
        pixels: type of the training images' grey values: `integer` (unsigned, 8 or 16 bits) or `float`.
        channel_files: the files of a case, one per channel; empty if one file holds all channels.
        voxels: voxel grid of a structure model; None for a model of images or volumes.
    """

    channels: int
    intensity: Intensity
    pixels: str = "integer"
    channel_files: tuple[ChannelFile, ...] = ()
    voxels: Voxels | None = None

    def __post_init__(self) -> None:
        """Check that the fields are consistent."""
        i, count = self.intensity, self.channels
        need(type(count) is int and count >= 1, f"{count} channels", "1 or more")
        need(self.pixels in PIXELS, f"pixels {self.pixels!r}", " or ".join(PIXELS))
        given = i.method != "standardize" or len(i.mean) == len(i.std) == count
        need(given, "mean and std are not given per channel", f"{count} values each")
        endings = [file.ending for file in self.channel_files]
        problem = f"channel files with the endings {endings}"
        need(len(set(endings)) == len(endings) in (0, count), problem, f"{count} different endings, or none")
        finest = min((file.factor for file in self.channel_files), default=1)
        need(finest == 1, f"smallest channel file factor {finest}", "1 for the finest channel")
        problem = f"{len(self.voxels.channels) if self.voxels else 0} voxel channels"
        need(not self.voxels or len(self.voxels.channels) == count, problem, f"{count}")
