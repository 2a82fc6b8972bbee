"""Read structures of proteins and nucleic acids. gemmi, the extra `structure`, is imported on first use.

The network sees only the chains of the first model, without water, ligands, ions and hydrogens, and each atom at its
position of highest occupancy. Modified residues, such as MSE, belong to their chain. A change of these rules changes
the results and requires a new version of the contract.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...support import ImageError, require_extra
from ..packed import unpack
from ..quiet import reason_of

TEXTS, CIFS = (".pdb", ".ent"), (".cif",)
SUFFIXES = tuple(suffix + packed for suffix in (*TEXTS, *CIFS) for packed in ("", ".gz"))
WANTED = f"a structure in PDB or mmCIF format, {', '.join(SUFFIXES)}"
MOST_BYTES = 64 << 20  # size of a file, decompressed
MOST_ATOMS = 500_000  # in all models, with water; a ribosome has 250,000
MOST_CHAINS = 20_000  # in all models, in parts that follow one another; gemmi compares each with each
MOST_VALUES = 12_000_000  # in an mmCIF file, which has about 21 for each atom; gemmi takes 32 bytes or more for each
_SMALLER = "keep only its first model, or some of its chains"
FARTHEST_ANGSTROM = 1e6  # from the origin; the coordinates of PDB files end at 9999.999
RADII_ANGSTROM = {"C": 1.70, "N": 1.55, "O": 1.52, "P": 1.80, "S": 1.80, "SE": 1.90}  # Bondi 1964
OTHER_RADIUS_ANGSTROM = 1.80
AROMATIC = {  # ring carbons by residue; ring nitrogens are in the channel nitrogen
    "PHE": "CG CD1 CD2 CE1 CE2 CZ", "TYR": "CG CD1 CD2 CE1 CE2 CZ", "HIS": "CG CD2 CE1",
    "TRP": "CG CD1 CD2 CE2 CE3 CZ2 CZ3 CH2",
    **dict.fromkeys(("A", "G", "DA", "DG"), "C2 C4 C5 C6 C8"), **dict.fromkeys(("C", "U", "DC", "DT"), "C2 C4 C5 C6"),
}  # fmt: skip
_RECORDS = ("ATOM  ", "HETATM")
_ELEMENTS = {"N": "nitrogen", "O": "oxygen", "S": "sulphur", "SE": "sulphur"}

Positions = NDArray[np.float64]
"""`(N, 3)`: x, y, z in Å, in the coordinates of the file."""


@dataclass(frozen=True)
class Residue:
    """One residue, with the authors' numbering."""

    chain: str
    number: int
    insertion: str
    name: str


@dataclass(frozen=True)
class Ligand:
    """A molecule that is neither part of a chain nor water: its residue and its heavy atoms."""

    residue: Residue
    positions: Positions


@dataclass(frozen=True)
class Structure:
    """The heavy atoms of the chains, and the ligands.

    Attributes:
        positions: positions of the atoms.
        radii: `(N,)` radii of the atoms in Å.
        channels: channel of each atom in addition to `occupied`; empty if there is none.
        owners: `(N,)` index of the residue of each atom.
        residues: residues of the chains, in the order of the file.
        ligands: ligands, in the order of the file.
    """

    positions: Positions
    radii: NDArray[np.float64]
    channels: tuple[str, ...]
    owners: NDArray[np.intp]
    residues: tuple[Residue, ...]
    ligands: tuple[Ligand, ...]


def read_structure(data: bytes, name: str) -> Structure:
    """Read a structure.

    Args:
        data: content of the file, compressed with gzip or not.
        name: name of the file, for errors; its suffix gives the format.

    Raises:
        ImageError: the file has another format, is damaged, has no atoms of a chain or has invalid coordinates.
        SegError: gemmi is not installed.
    """
    model = _first_model(data, name)
    residues: list[Residue] = []
    atoms: list[tuple[Any, int]] = []
    ligands: list[Ligand] = []
    kind = load_gemmi().EntityType
    for chain in model:
        for group in _alternatives(chain, kind):
            named = Residue(chain.name, group.seqid.num or 0, group.seqid.icode.strip(), group.name)
            heavy = _heavy(group)
            if not heavy or group.is_water():
                continue
            if group.entity_type == kind.Polymer:
                atoms += [(atom, len(residues)) for atom in heavy]
                residues.append(named)
            elif group.entity_type == kind.NonPolymer:
                ligands.append(Ligand(named, _positions(heavy, name)))
    if not atoms:
        problem = f"{name} has no atoms of a protein or nucleic acid"
        raise ImageError(problem, WANTED, "check its content: water, ligands and hydrogens are ignored")
    elements = [atom.element.name.upper() for atom, _ in atoms]
    return Structure(
        _positions([atom for atom, _ in atoms], name),
        np.array([RADII_ANGSTROM.get(element, OTHER_RADIUS_ANGSTROM) for element in elements]),
        tuple(_channel(e, a.name, residues[o].name) for e, (a, o) in zip(elements, atoms, strict=True)),
        np.array([owner for _, owner in atoms], np.intp),
        tuple(residues),
        tuple(ligands),
    )


def load_gemmi() -> Any:
    """Import and return gemmi.

    Raises:
        SegError: it is not installed.
    """
    require_extra("structure", "gemmi")
    return importlib.import_module("gemmi")


def _first_model(data: bytes, name: str) -> Any:
    library, text = load_gemmi(), _text(data, name)
    try:
        if name.lower().removesuffix(".gz").endswith(CIFS):
            _check_values(text, name)
            document = library.cif.read_string(text)
            block = next((b for b in document if b.find_loop("_atom_site.id")), document[0])
            _check_atoms(len(block.find_loop("_atom_site.id")), name)
            found = library.make_structure_from_block(block)
        else:
            _check_atoms(sum(text.count(f"\n{word}") for word in _RECORDS), name)
            _check_columns(text, name)
            found = library.read_pdb_string(text)
        if (chains := sum(len(model) for model in found)) > MOST_CHAINS:
            raise ImageError(f"{name} has {chains} parts of chains", f"at most {MOST_CHAINS}", _SMALLER)
        found.merge_chain_parts()
        found.setup_entities()
    except (RuntimeError, ValueError, IndexError) as error:  # from C++ exceptions
        problem = f"{name} is not a readable structure ({reason_of(error)})"
        raise ImageError(problem, WANTED, "copy or export it again") from error
    if not len(found) or not found[0].count_atom_sites():
        raise ImageError(f"{name} has no atoms", WANTED, "check its content")
    return found[0]


def _text(data: bytes, name: str) -> str:
    content = unpack(data, name, MOST_BYTES, WANTED, _SMALLER)
    if len(content) > MOST_BYTES:
        raise ImageError(f"{name} has {len(content)} bytes of text", f"at most {MOST_BYTES}", _SMALLER)
    return str(content, "ascii", "replace").replace("\ufffd", "?").replace("\0", " ")  # keeps one character per byte


def _check_atoms(count: int, name: str) -> None:
    if count > MOST_ATOMS:
        raise ImageError(f"{name} has more than {MOST_ATOMS} atoms", "", _SMALLER)


def _check_values(text: str, name: str) -> None:
    """Raise ImageError if an mmCIF file has so many values, separated by white space, that they would fill the memory."""
    blank = np.frombuffer(text.encode("ascii"), np.uint8) <= ord(" ")
    if (count := np.count_nonzero(blank[1:] & ~blank[:-1])) > MOST_VALUES:
        raise ImageError(f"{name} has {count} values", f"at most {MOST_VALUES}", _SMALLER)


def _check_columns(text: str, name: str) -> None:
    """Check that the coordinates of a PDB file are numbers, since gemmi reads other text as zeros.

    Raises:
        ImageError: they are not; the error names the line.
    """
    for place, line in enumerate(text.splitlines(), 1):
        if line[:6].upper() not in _RECORDS:
            continue
        try:
            finite = all(math.isfinite(float(line[first : first + 8])) for first in (30, 38, 46))
        except ValueError:
            finite = False
        if not finite:
            problem = f"line {place} of {name} has the coordinates {line[30:54]!r}"
            raise ImageError(problem, "numbers in columns 31 to 54", "correct or remove the line")


def _alternatives(chain: Any, kind: Any) -> Iterator[Any]:
    """Yield the residues of a chain; of several residues at one position, the one with the highest occupancy."""
    place: list[Any] = []
    for residue in chain:
        same = place and residue.entity_type == kind.Polymer and residue.seqid == place[0].seqid
        if place and not same:
            yield max(place, key=_occupancy)
            place = []
        place.append(residue)
    if place:
        yield max(place, key=_occupancy)


def _occupancy(residue: Any) -> float:
    return max((float(atom.occ) for atom in residue), default=0.0)


def _heavy(residue: Any) -> list[Any]:
    """Return the atoms of a residue without hydrogens. Of alternative positions, the first one with the highest
    occupancy."""
    best: dict[str, Any] = {}
    for place, atom in enumerate(residue):
        if not atom.is_hydrogen() and atom.altloc == "\0":  # atoms of a ligand may share a name
            best[f"{atom.name} {place}"] = atom
        elif not atom.is_hydrogen() and (atom.name not in best or atom.occ > best[atom.name].occ):
            best[atom.name] = atom
    return list(best.values())


def _positions(atoms: Sequence[Any], name: str) -> Positions:
    found = np.array([(atom.pos.x, atom.pos.y, atom.pos.z) for atom in atoms], np.float64).reshape(-1, 3)
    if not (np.abs(found) <= FARTHEST_ANGSTROM).all():  # also false for NaN
        problem = f"{name} has coordinates that are missing, infinite or beyond {FARTHEST_ANGSTROM:g} Å"
        raise ImageError(problem, "numbers in Å", "correct or remove these atoms")
    return found


def _channel(element: str, atom: str, residue: str) -> str:
    if element == "C":
        return "aromatic" if atom in AROMATIC.get(residue, "").split() else "carbon"
    return _ELEMENTS.get(element, "")
