"""Reader of the Protein Data Bank: one PDB or mmCIF file per complex, with ligands as HETATM records in the same file.

It is made for binding sites on voxels of 2 Å, as Nazem et al. 2021 (J. Bioinform. Comput. Biol. 19, 2150006) find them
with a 3D U-Net.

Files are in the folder (DATA/1abc.pdb) or in subfolders (DATA/ab/pdb1abc.ent.gz), as in the archive. A binding site is
all voxels whose centres are within `reach` Å of a heavy atom of a ligand. Ligands are molecules that belong to no chain
and have at least `_FEWEST_ATOMS` heavy atoms, except additives of crystallisation (`_ADDITIVES`). Water, ions and
sugars that are linked to the chain are not ligands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import read_bytes
from seg_runtime.formats.structures import (
    CHANNELS,
    Lattice,
    Ligand,
    Structure,
    Structures,
    read_structure,
)
from seg_runtime.model import Voxels
from seg_runtime.support import DataError, SegError, list_files

from .. import Case, ClassValues, DataSet, Example, Report, by_name, reads, report_left_out, to_labels

_VOXEL, _REACH = "2", "4"
_FINEST_ANGSTROM, _COARSEST_ANGSTROM, _FARTHEST_ANGSTROM = 0.25, 8.0, 16.0
_FEWEST_ATOMS = 6
# chemical components: solvents and cryoprotectants, buffers, precipitants, detergents, reducing agents
_ADDITIVES = """
    GOL EDO PGO PDO MPD MRD BU1 BUD IPA EOH MOH DMS DMF ACN ACT ACY FMT CIT FLC TAR TLA MLI MLA SIN OXL SUC TRE
    TRS BTB EPE MES MOP CAC BCN IMD GAI B3P PEG PGE PG4 PG5 PG6 P6G P33 1PE 2PE 7PE 12P 15P PE3 PE4 PE5 PE8 XPE
    BOG BNG LMT LDA SDS C8E CXE D10 DDQ BME DTT DTU TCE SO4 PO4 NO3 CO3 SCN AZI UNX UNL
"""
_LAYOUT = "DATA/NAME.pdb or .cif, or DATA/FOLDER/NAME.pdb, with the ligands in the same file"


@dataclass(frozen=True)
class _StructureCase(Case):
    """A complex. The chains are the image; the molecules that they bind are the ground truth.

    Attributes:
        name: name of the file, without its suffix.
        file: path of the file.
        grid: voxel grid of the image.
        reach_angstrom: distance of a site from a heavy atom of its ligand.
        wanted: chemical components that are ligands; empty for all except additives.
    """

    name: str
    file: Path
    grid: Voxels
    reach_angstrom: float
    wanted: tuple[str, ...] = ()

    def image(self) -> NDArray[Any]:
        """Read the image `(D, H, W, C)` uint8."""
        structure, lattice = self._read()
        return lattice.filled(structure, self.grid)

    def values(self) -> dict[int, str]:
        """0, and 1 for a binding site."""
        return {value: str(self.file) for value in (0, 1)}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth; see `Case.read`."""
        structure, lattice = self._read()
        site = np.zeros(math.prod(lattice.shape), np.int64)
        for ligand in self.bound(structure):
            for _, where, _ in lattice.near(ligand.positions, self.reach_angstrom):
                site[where] = 1
        labels = to_labels(site.reshape(lattice.shape), classes, str(self.file))
        return Example(lattice.filled(structure, self.grid), labels)

    def bound(self, structure: Structure) -> list[Ligand]:
        """The ligands that count."""
        return [ligand for ligand in structure.ligands if self._counts(ligand)]

    def _counts(self, ligand: Ligand) -> bool:
        if self.wanted:
            return ligand.residue.name in self.wanted
        return len(ligand.positions) >= _FEWEST_ATOMS and ligand.residue.name not in _ADDITIVES.split()

    def _read(self) -> tuple[Structure, Lattice]:
        structure = read_structure(read_bytes(self.file), str(self.file))
        return structure, Lattice.around(structure, self.grid, str(self.file))


def _fits_structures(root: Path) -> bool:
    """Whether a folder or its subfolders have structures."""
    named = Structures().named
    return any(named(path) for path in list_files(root)) or bool(by_name(root, named, recursive=True))


@reads(_fits_structures)
def find_structures(root: Path, report: Report, voxel: str = _VOXEL, reach: str = _REACH, ligands: str = "") -> DataSet:
    """Find the complexes that have a ligand.

    Args:
        root: folder of the data set.
        report: called with a message about structures without a ligand, whose binding sites are unknown.
        voxel: side of a voxel in Å.
        reach: see `_StructureCase`, in Å.
        ligands: chemical components to use as ligands, such as HEM+ATP; empty for all except additives.

    Raises:
        SegError: if an option is out of range.
        DataError: if the layout is different, two files have the same name, or no file has a ligand.
        ImageError: if a file cannot be read.
    """
    grid = Voxels(_angstrom("voxel", voxel, _FINEST_ANGSTROM, _COARSEST_ANGSTROM), CHANNELS)
    reaches = _angstrom("reach", reach, 0.0, _FARTHEST_ANGSTROM)
    wanted = tuple(code.strip().upper() for code in ligands.split("+") if code.strip())
    named = Structures().named
    files = by_name(root, named) or by_name(root, named, recursive=True)
    if not files:
        raise DataError(
            f"{root} has no structures", f"{_LAYOUT}; {Structures.title}", "give the folder that contains them"
        )
    cases = [_StructureCase(name, file, grid, reaches, wanted) for name, file in files.items()]
    found = tuple(c for c in cases if c.bound(read_structure(read_bytes(c.file), str(c.file))))
    report_left_out(report, files.keys() - {c.name for c in found}, "structures without a ligand")
    if not found:
        which = " or ".join(wanted) or f"other than additives, of {_FEWEST_ATOMS} heavy atoms or more"
        problem = f"none of the {len(cases)} structures in {root} has a ligand"
        advice = "name other ligands: --reader structure:ligands=HEM+ATP"
        raise DataError(problem, f"a molecule that belongs to no chain, {which}", advice)
    return DataSet(found, voxels=grid)


def _angstrom(option: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high or value == 0:
        problem = f"--reader has structure:{option}={text}"
        raise SegError(problem, f"a length in Å, {low:g} to {high:g}", "correct the length")
    return value
