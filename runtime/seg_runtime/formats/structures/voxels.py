"""Convert structures to voxel grids `(D, H, W, C)`.

The value of a voxel is its occupancy by atoms, after Jiménez et al. 2017 (DeepSite, Bioinformatics 33:3036):
n(d) = 1 - exp(-(r / d)^12) for an atom with the van der Waals radius r at the distance d from the centre of the voxel.
The largest n of all atoms is multiplied by 255, rounded and stored as uint8.

The centres of voxels are at multiples of the voxel side in the coordinates of the file, with the axes D, H, W along z,
y, x. The grid extends at least `PAD_ANGSTROM` beyond every atom; beyond the grid, the network sees its reflection. A
map on this grid is therefore aligned with the structure in any program, and the same atoms always give the same grid. A
change of these rules changes the results and requires a new version of the contract.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...model import MAX_PIXELS, Voxels
from ...support import ImageError
from .atoms import Positions, Structure

PAD_ANGSTROM = 8.0
REACH_ANGSTROM = 4.0  # beyond this distance, n rounds to 0: (1.9 / 4)^12 is 1e-4
CHANNELS = ("occupied", "carbon", "aromatic", "nitrogen", "oxygen", "sulphur")
"""Channels of a grid: all heavy atoms of the chains; carbon outside aromatic rings; carbon in aromatic rings; nitrogen;
oxygen; sulphur and selenium. Phosphorus and other elements are in `occupied` only."""
_AT_ONCE = 1 << 20  # pairs of an atom and a voxel


@dataclass(frozen=True)
class Lattice:
    """The voxel grid of a structure.

    Attributes:
        shape: `(D, H, W)`.
        start: centre of the first voxel, z, y, x, in units of the voxel side.
        side_angstrom: side of a voxel.
    """

    shape: tuple[int, int, int]
    start: tuple[int, int, int]
    side_angstrom: float

    @classmethod
    def around(cls, structure: Structure, voxels: Voxels, name: str, max_pixels: int = MAX_PIXELS) -> Lattice:
        """Return the grid of a structure.

        Args:
            structure: see `read_structure`.
            voxels: voxels of the contract.
            name: name of the file, for errors.
            max_pixels: refuse a grid with more voxels in all channels, before it is allocated.

        Raises:
            ImageError: the grid would be too large.
        """
        side = voxels.side_angstrom
        low = np.floor((structure.positions.min(0) - PAD_ANGSTROM) / side).astype(int)[::-1].tolist()
        high = np.ceil((structure.positions.max(0) + PAD_ANGSTROM) / side).astype(int)[::-1].tolist()
        depth, height, width = (last - first + 1 for first, last in zip(low, high, strict=True))
        count = depth * height * width * len(voxels.channels)
        if count > max_pixels:
            across = "×".join(f"{n:.0f}" for n in np.ptp(structure.positions, axis=0))
            problem = f"{name} is {across} Å large, which makes {count} voxels in {len(voxels.channels)} channels"
            advice = "keep only some of its chains, or raise the limit (seg-run --max-pixels)"
            raise ImageError(problem, f"at most {max_pixels}", advice)
        return cls((depth, height, width), (low[0], low[1], low[2]), side)

    @property
    def origin_angstrom(self) -> tuple[float, float, float]:
        """x, y, z of the centre of the first voxel."""
        z, y, x = (place * self.side_angstrom for place in self.start)
        return x, y, z

    def near(
        self, points: Positions, reach_angstrom: float
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], Positions]]:
        """Find the voxels whose centres are within a distance of points, in blocks.

        Yields:
            Three arrays `(M,)`: index of the point, index of the voxel in the flattened grid, and their distance in Å.
        """
        side, size = self.side_angstrom, math.ceil(reach_angstrom / self.side_angstrom + 0.5)
        steps = np.arange(-size, size + 1)
        around = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
        farthest = reach_angstrom / side + math.sqrt(3) / 2 + 1e-6  # a point is half a diagonal from its voxel at most
        z, y, x = (around[np.linalg.norm(around, axis=1) <= farthest] + size).T  # indices of `steps`
        shape = np.array(self.shape)[:, None]
        strides = np.array([self.shape[1] * self.shape[2], self.shape[2], 1])[:, None]
        count = max(1, _AT_ONCE // len(z))
        for first in range(0, len(points), count):
            some = points[first : first + count, ::-1, None]  # (N, 3, 1): z, y, x
            places = np.rint(some / side).astype(np.intp) + steps  # (N, 3, S), for each axis alone
            squares = (places * side - some) ** 2
            places -= np.array(self.start)[:, None]
            inside = (places >= 0) & (places < shape)
            places *= strides
            distance = np.sqrt(squares[:, 0, z] + squares[:, 1, y] + squares[:, 2, x])
            hit = (distance <= reach_angstrom) & inside[:, 0, z] & inside[:, 1, y] & inside[:, 2, x]
            which, step = np.nonzero(hit)
            where = places[which, 0, z[step]] + places[which, 1, y[step]] + places[which, 2, x[step]]
            yield which + first, where, distance[hit]

    def filled(self, structure: Structure, voxels: Voxels) -> NDArray[np.uint8]:
        """Return the occupancy `(D, H, W, C)` of each voxel by the atoms of each channel, 0..255.

        Raises:
            ImageError: the contract has a channel that this version does not know.
        """
        if odd := [name for name in voxels.channels if name not in CHANNELS]:
            problem = f"the model needs the structure channel {odd[0]!r}, which this version does not know"
            raise ImageError(problem, ", ".join(CHANNELS), "upgrade seg-edge")
        planes = [np.zeros(math.prod(self.shape), np.uint8) for _ in voxels.channels]
        kinds = np.array(structure.channels)
        for which, where, distance in self.near(structure.positions, REACH_ANGSTROM):
            with np.errstate(divide="ignore", over="ignore"):
                filled = 1 - np.exp(-((structure.radii[which] / distance) ** 12))
            values = np.rint(255 * filled).astype(np.uint8)
            for plane, name in zip(planes, voxels.channels, strict=True):
                mine = slice(None) if name == CHANNELS[0] else kinds[which] == name
                np.maximum.at(plane, where[mine], values[mine])
        return np.stack([plane.reshape(self.shape) for plane in planes], axis=-1)
