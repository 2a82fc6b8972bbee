"""What images a network takes: the part of the contract that `formats/` and `pipeline/` act upon."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .nested import need

PIXELS = ("integer", "float")
INTENSITIES = ("scale", "standardize", "window", "zscore")


@dataclass(frozen=True)
class Intensity:
    """How grey values become floats. Unused parameters stay empty.

    - `scale`: x / dtype maximum (255, 65535; 1 for floats).
    - `standardize`: x / dtype maximum, then (x - mean) / std with `mean`, `std` of the training set, one per channel.
    - `window`: (x - (level - width / 2)) / width, clipped to 0..1, in raw grey values (CT: Hounsfield units).
    - `zscore`: (x - mean) / max(std, std_floor) per image and channel, in units of x / dtype maximum. The floor keeps
      the noise of an empty field from being blown up to the contrast of a full one.
    """

    method: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    level: float = 0.0
    width: float = 0.0
    std_floor: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that the method cannot use."""
        need(self.method in INTENSITIES, f"intensity {self.method!r}", " or ".join(INTENSITIES))
        numbers = (*self.mean, *self.std, self.level, self.width, self.std_floor)
        need(all(map(math.isfinite, numbers)), "infinite numbers", "finite ones")
        need(all(s > 0 for s in self.std), f"std {self.std}", "positive values")
        need(self.method != "window" or self.width > 0, f"intensity window of width {self.width}", "a positive width")
        need(self.method != "zscore" or self.std_floor > 0, f"zscore floor {self.std_floor}", "a positive floor")


@dataclass(frozen=True)
class Voxels:
    """The grid that a structure of atoms becomes, see `formats/structures/`.

    Attributes:
        side_angstrom: of a voxel.
        channels: by name.
    """

    side_angstrom: float
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what is no grid."""
        side = self.side_angstrom
        positive = type(side) in (int, float) and math.isfinite(side) and side > 0
        need(positive, f"voxels of {side!r} Å", "a positive side")
        need(all(isinstance(n, str) and n for n in self.channels), f"voxels of the channels {self.channels}", "names")


@dataclass(frozen=True)
class ChannelFile:
    """A channel that is a file of its own.

    Attributes:
        ending: of the file's name before its suffix, `_dapi` for example.
        factor: by how much its image is enlarged, each pixel to a square of so many.
    """

    ending: str
    factor: int = 1

    def __post_init__(self) -> None:
        """Refuse what no file name can end in."""
        named = isinstance(self.ending, str) and self.ending and "/" not in self.ending
        need(bool(named), f"the channel {self.ending!r}", "how its file's name ends")
        need(type(self.factor) is int and self.factor >= 1, f"the factor {self.factor}", "1 or more")


@dataclass(frozen=True)
class Input:
    """What images a network takes.

    Attributes:
        channels: 1 grey, 3 RGB.
        intensity: how grey values become floats.
        pixels: kind of the training images' grey values: `integer` (unsigned, 8 or 16 bits) or `float`.
        channel_files: the files of a case, one a channel; empty: one file holds all channels.
        voxels: of a model of structures the grid that they become; None for a model of images and volumes.
    """

    channels: int
    intensity: Intensity
    pixels: str = "integer"
    channel_files: tuple[ChannelFile, ...] = ()
    voxels: Voxels | None = None

    def __post_init__(self) -> None:
        """Refuse parts that contradict each other."""
        i, count = self.intensity, self.channels
        need(type(count) is int and count >= 1, f"{count} channels", "1 or more")
        need(self.pixels in PIXELS, f"pixels {self.pixels!r}", " or ".join(PIXELS))
        given = i.method != "standardize" or len(i.mean) == len(i.std) == count
        need(given, "mean and std not given per channel", f"{count} of each")
        endings = [file.ending for file in self.channel_files]
        need(len(set(endings)) == len(endings) in (0, count), f"{len(endings)} channel files", f"{count}, or none")
        finest = min((file.factor for file in self.channel_files), default=1)
        need(finest == 1, f"factors from {finest}", "1 for the finest channel")
        problem = f"voxels of {len(self.voxels.channels) if self.voxels else 0} channels"
        need(not self.voxels or len(self.voxels.channels) == count, problem, f"{count}")
