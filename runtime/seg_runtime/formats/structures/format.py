"""The results for a structure: maps that are aligned with it in PyMOL, ChimeraX or Coot, and the residues at its sites.

Maps are CCP4/MRC files (Cheng et al. 2015, MRC2014), written by gemmi. NXSTART, NYSTART and NZSTART alone give their
position. These are integers, since the centres of voxels are at multiples of the voxel side. The field ORIGIN, which
programs interpret differently, is zero. PyMOL scales such maps by their standard deviation unless `normalize_ccp4_maps`
is off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...model import MAX_PIXELS, ClassInfo, Contract, Voxels
from ...pipeline import Array, Float
from ..format import NPY, Format, Output, Page, PageResult, Place, ReadOptions, Source, Write
from .atoms import SUFFIXES, Structure, load_gemmi, read_structure
from .voxels import Lattice

LINING_ANGSTROM = 4.0  # between a heavy atom of a residue and the centre of a voxel of the site
_SUFFIX = ".mrc"
_BYTES, _WORDS, _FLOATS = 0, 1, 2  # modes of the format: int8, int16, float32
_STARTS, _INTERVALS = (5, 6, 7), (8, 9, 10)  # words of the header, x, y, z


class Structures(Format):
    """PDB and mmCIF files. The result is a map that is aligned with the structure."""

    title = "a structure of atoms"
    suffixes = SUFFIXES
    axes = 3

    def recognises(self, head: bytes) -> bool:
        """Return False: both formats are plain text."""
        return False

    def fits(self, contract: Contract) -> bool:
        """Return whether the model was trained on structures."""
        return contract.input.voxels is not None

    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        """Yield the voxel grid `(D, H, W, C)` uint8 of a structure."""
        assert options.voxels  # set for every structure model
        site = Site.read(data, name, options.voxels, options.max_pixels)
        yield Page(site.lattice.filled(site.structure, options.voxels), name, site)

    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        """Return the output for labels, a map."""
        return {"mask": Output("mask", (_SUFFIX,), _prepare_labels)} if data == "labels" else {}

    def probabilities(self) -> Mapping[str, Output]:
        """Return the outputs: NPY, and a map of the most probable class other than the background."""
        return {"npy": NPY, "map": Output("probabilities_map", (_SUFFIX,), _prepare_probability)}

    def record(self, source: Source, results: Sequence[PageResult]) -> dict[str, Any]:
        """Return the facts about the grid and each site."""
        [result] = results
        return {"structure": _site(result).record(result.labels, result.contract.classes)}


def _site(result: PageResult) -> Site:
    assert isinstance(result.place, Site)
    return result.place


def _prepare_labels(results: Sequence[PageResult], source: Source) -> tuple[str, Write]:
    [result] = results
    return _SUFFIX, lambda file: _site(result).write_labels(file, result.labels)


def _prepare_probability(results: Sequence[PageResult], source: Source) -> tuple[str, Write]:
    [result] = results
    scores = result.probabilities
    return _SUFFIX, lambda file: _site(result).write_probability(file, scores)


@dataclass(frozen=True, kw_only=True)
class Site(Place):
    """A structure and its voxel grid, which writes the results."""

    structure: Structure
    lattice: Lattice
    voxels: Voxels

    @classmethod
    def read(cls, data: bytes, name: str, voxels: Voxels, max_pixels: int = MAX_PIXELS) -> Site:
        """Read the structure of a file and create its grid; raises the errors of `read_structure` and
        `Lattice.around`."""
        structure = read_structure(data, name)
        lattice = Lattice.around(structure, voxels, name, max_pixels)
        return cls(spacing_mm=(voxels.side_angstrom * 1e-7,) * 3, structure=structure, lattice=lattice, voxels=voxels)

    def write_labels(self, file: BinaryIO, labels: NDArray[np.uint8]) -> None:
        """Write labels `(D, H, W)` as an int8 map, or an int16 map if a label exceeds 127."""
        _write_map(file, labels, self.lattice, _BYTES if labels.max() < 128 else _WORDS)

    def write_probability(self, file: BinaryIO, probabilities: Float) -> None:
        """Write the probability of the most probable class other than the background, from `(K, D, H, W)`, as
        float32."""
        _write_map(file, probabilities[1:].max(axis=0), self.lattice, _FLOATS)

    def record(self, labels: NDArray[np.uint8], classes: Sequence[ClassInfo]) -> dict[str, Any]:
        """Return the facts about the grid and each site for the record, ready for JSON."""
        side = self.lattice.side_angstrom
        counts = np.bincount(labels.ravel(), minlength=len(classes))
        return {
            "atoms": len(self.structure.positions),
            "residues": len(self.structure.residues),
            "voxel_angstrom": side,
            "origin_angstrom": list(self.lattice.origin_angstrom),
            "channels": list(self.voxels.channels),
            "sites": [
                {
                    "class": entry.name,
                    "volume_angstrom3": round(float(counts[index]) * side**3, 3),
                    "residues_within_angstrom": LINING_ANGSTROM,
                    "residues": self.lining(labels == index),
                }
                for index, entry in enumerate(classes)
                if index
            ],
        }

    def lining(self, inside: NDArray[np.bool_]) -> list[dict[str, Any]]:
        """Return the residues at a site, in the order of the file: chain, number with insertion code, and name.

        Args:
            inside: `(D, H, W)`, the voxels of the site.
        """
        flat, near = inside.ravel(), np.zeros(len(self.structure.residues), bool)
        if flat.any():
            for which, where, _ in self.lattice.near(self.structure.positions, LINING_ANGSTROM):
                near[self.structure.owners[which[flat[where]]]] = True
        found = (self.structure.residues[place] for place in np.flatnonzero(near))
        return [{"chain": r.chain, "number": f"{r.number}{r.insertion}", "name": r.name} for r in found]


def _write_map(file: BinaryIO, values: Array, lattice: Lattice, mode: int) -> None:
    """Write values `(D, H, W)` on the grid of a structure as a CCP4/MRC map.

    Args:
        file: an open file with a name, since gemmi writes to a path.
        values: values of any dtype.
        lattice: the grid.
        mode: mode of the format: 0 int8, 1 int16, 2 float32.

    Raises:
        OSError: the file could not be written completely.
    """
    library = load_gemmi()
    grid = library.FloatGrid(np.asfortranarray(np.moveaxis(values, (0, 1, 2), (2, 1, 0)).astype(np.float32)))
    sizes = lattice.shape[::-1]
    grid.set_unit_cell(library.UnitCell(*(n * lattice.side_angstrom for n in sizes), 90, 90, 90))
    grid.spacegroup = library.SpaceGroup("P 1")
    content = library.Ccp4Map()
    content.grid = grid
    content.update_ccp4_header(mode)
    for words, numbers in ((_STARTS, lattice.start[::-1]), (_INTERVALS, sizes)):
        for word, number in zip(words, numbers, strict=True):
            content.set_header_i32(word, int(number))
    try:
        content.write_ccp4_map(str(file.name))
    except RuntimeError as error:
        raise OSError(str(error)) from error
    size = 1024 + content.header_i32(24) + values.size * (1, 2, 4)[mode]
    if (written := file.seek(0, 2)) != size:  # gemmi does not report an error of the last flush
        raise OSError(f"{written} of {size} bytes written")
