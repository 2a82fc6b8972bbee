"""Structures of proteins and nucleic acids: which atoms a network sees. gemmi is the extra `structure`, imported when needed.

What the network sees are the chains alone: the first model, without water, ligands, ions and hydrogens, each atom where its
occupancy is highest. Residues that are modified, such as MSE, belong to their chain. What changes this changes answers, hence
the contract's version.
"""

from __future__ import annotations

import gzip
import importlib
import io
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...support import ImageError, require_extra

TEXTS, CIFS = (".pdb", ".ent"), (".cif",)
SUFFIXES = tuple(suffix + packed for suffix in (*TEXTS, *CIFS) for packed in ("", ".gz"))
WANTED = f"a structure in PDB or mmCIF format, {', '.join(SUFFIXES)}"
MOST_BYTES = 1 << 29  # of a file, unpacked
FARTHEST_ANGSTROM = 1e6  # from the origin; the coordinates of PDB files end at 9999.999
RADII_ANGSTROM = {"C": 1.70, "N": 1.55, "O": 1.52, "P": 1.80, "S": 1.80, "SE": 1.90}  # Bondi 1964
OTHER_RADIUS_ANGSTROM = 1.80
AROMATIC = {  # carbons of rings, by residue; their nitrogens are nitrogen
    "PHE": "CG CD1 CD2 CE1 CE2 CZ", "TYR": "CG CD1 CD2 CE1 CE2 CZ", "HIS": "CG CD2 CE1",
    "TRP": "CG CD1 CD2 CE2 CE3 CZ2 CZ3 CH2",
    **dict.fromkeys(("A", "G", "DA", "DG"), "C2 C4 C5 C6 C8"), **dict.fromkeys(("C", "U", "DC", "DT"), "C2 C4 C5 C6"),
}  # fmt: skip
_ELEMENTS = {"N": "nitrogen", "O": "oxygen", "S": "sulphur", "SE": "sulphur"}
_GZIP = b"\x1f\x8b"

Positions = NDArray[np.float64]
"""`(N, 3)`: x, y, z in Å as the file has them."""


@dataclass(frozen=True)
class Residue:
    """One residue as its authors number it."""

    chain: str
    number: int
    insertion: str
    name: str


@dataclass(frozen=True)
class Ligand:
    """One molecule that is no part of a chain and no water: its residue and its heavy atoms."""

    residue: Residue
    positions: Positions


@dataclass(frozen=True)
class Structure:
    """Heavy atoms of the chains, and what they bind.

    Attributes:
        positions: of the atoms.
        radii: `(N,)` in Å.
        channels: of each atom, beside `occupied`; empty for the rest.
        owners: `(N,)` place of each atom's residue.
        residues: of the chains, in the order of the file.
        ligands: in the order of the file.
    """

    positions: Positions
    radii: NDArray[np.float64]
    channels: tuple[str, ...]
    owners: NDArray[np.intp]
    residues: tuple[Residue, ...]
    ligands: tuple[Ligand, ...]


def read_structure(data: bytes, name: str) -> Structure:
    """What a file holds.

    Args:
        data: its content; packed with gzip or not.
        name: whose suffix tells the format, and what errors call it.

    Raises:
        ImageError: not in that format, damaged, no atom of a chain in it, or coordinates that are none.
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
        problem = f"{name} holds no atom of a protein or a nucleic acid"
        raise ImageError(problem, WANTED, "check what it holds: water, ligands and hydrogens are left out")
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
    """The library.

    Raises:
        SegError: it is not installed.
    """
    require_extra("structure", "gemmi")
    return importlib.import_module("gemmi")


def _first_model(data: bytes, name: str) -> Any:
    library, text = load_gemmi(), _text(data, name)
    try:
        if name.lower().removesuffix(".gz").endswith(CIFS):
            document = library.cif.read_string(text)
            block = next((b for b in document if b.find_loop("_atom_site.id")), document[0])
            found = library.make_structure_from_block(block)
        else:
            _check_columns(text, name)
            found = library.read_pdb_string(text)
        found.merge_chain_parts()
        found.setup_entities()
    except (RuntimeError, ValueError, IndexError) as error:  # what gemmi makes of C++'s
        raise ImageError(
            f"{name} is no structure that can be read ({error})", WANTED, "copy or export it again"
        ) from error
    if not len(found) or not found[0].count_atom_sites():
        raise ImageError(f"{name} holds no atoms", WANTED, "check what it is")
    return found[0]


def _text(data: bytes, name: str) -> str:
    if data.startswith(_GZIP):
        try:
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ImageError(f"{name} is damaged ({error})", WANTED, "copy it again") from error
    if len(data) > MOST_BYTES:
        raise ImageError(f"{name} has more than {MOST_BYTES >> 20} MB of text", "less", "keep some of its chains")
    return data.decode("ascii", "replace").replace("\ufffd", "?").replace("\0", " ")  # a column is a byte


def _check_columns(text: str, name: str) -> None:
    """Refuse coordinates of a PDB file that are no numbers, which gemmi takes for zeros.

    Raises:
        ImageError: names the line.
    """
    for place, line in enumerate(text.splitlines(), 1):
        if line[:6].upper() not in ("ATOM  ", "HETATM"):
            continue
        try:
            finite = all(math.isfinite(float(line[first : first + 8])) for first in (30, 38, 46))
        except ValueError:
            finite = False
        if not finite:
            problem = f"line {place} of {name} has the coordinates {line[30:54]!r}"
            raise ImageError(problem, "numbers in the columns 31 to 54", "correct the line or leave it out")


def _alternatives(chain: Any, kind: Any) -> Iterator[Any]:
    """The residues of a chain; where one place holds several, the one with the highest occupancy."""
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
    """Its atoms without hydrogen; one that has several places where its occupancy is highest, the first of equals."""
    best: dict[str, Any] = {}
    for place, atom in enumerate(residue):
        if not atom.is_hydrogen() and atom.altloc == "\0":  # names may be shared by all carbons of a ligand then
            best[f"{atom.name} {place}"] = atom
        elif not atom.is_hydrogen() and (atom.name not in best or atom.occ > best[atom.name].occ):
            best[atom.name] = atom
    return list(best.values())


def _positions(atoms: Sequence[Any], name: str) -> Positions:
    found = np.array([(atom.pos.x, atom.pos.y, atom.pos.z) for atom in atoms], np.float64).reshape(-1, 3)
    if not (np.abs(found) <= FARTHEST_ANGSTROM).all():  # NaN, too
        problem = f"{name} has coordinates that are missing, infinite or beyond {FARTHEST_ANGSTROM:g} Å"
        raise ImageError(problem, "numbers in Å", "correct them or leave these atoms out")
    return found


def _channel(element: str, atom: str, residue: str) -> str:
    if element == "C":
        return "aromatic" if atom in AROMATIC.get(residue, "").split() else "carbon"
    return _ELEMENTS.get(element, "")
