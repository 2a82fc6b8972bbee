"""Synthetic complexes in the layout of the Protein Data Bank: one file each, with the ligand as HETATM records.

A protein is a ball of residues with three pockets of equal shape. The pocket of the ligand is lined with phenylalanine
and aspartate, the others with leucine and lysine. One of the others contains glycerol, an additive. Water and a zinc ion
are outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .short import Array, Short

RADIUS_ANGSTROM, POCKET_ANGSTROM, SPACING_ANGSTROM = 14.0, 5.8, 5.2
POCKETS = 3
LINED, BARE, ANYWHERE = ("PHE", "ASP"), ("LEU", "LYS"), ("ALA", "LEU", "SER", "LYS", "MSE", "ALA", "PHE", "ASP")
BACKBONE = (("N", -0.5, 1.36, 0.0), ("CA", 0.0, 0.0, 0.0), ("C", 1.53, 0.0, 0.0), ("O", 2.1, -1.05, 0.2))
SIDE_CHAINS = {  # in Å, growing along z
    "ALA": (("CB", -0.5, -0.7, 1.2),),
    "SER": (("CB", -0.5, -0.7, 1.2), ("OG", -0.3, 0.2, 2.3)),
    "ASP": (("CB", -0.5, -0.7, 1.2), ("CG", -0.2, 0.1, 2.5), ("OD1", 0.8, 0.7, 2.8), ("OD2", -1.1, 0.2, 3.3)),
    "LEU": (("CB", -0.5, -0.7, 1.2), ("CG", -0.2, 0.1, 2.5), ("CD1", 1.1, 0.7, 2.8), ("CD2", -1.3, 0.2, 3.5)),
    "LYS": (("CB", -0.5, -0.7, 1.2), ("CG", -0.2, 0.1, 2.5), ("CD", -0.6, -0.6, 3.8), ("CE", -0.3, 0.2, 5.0),
            ("NZ", -0.7, -0.4, 6.2)),
    "MSE": (("CB", -0.5, -0.7, 1.2), ("CG", -0.2, 0.1, 2.5), ("SE", -0.6, -0.6, 4.3), ("CE", -0.3, 0.6, 5.8)),
    "PHE": (("CB", -0.5, -0.7, 1.2), ("CG", -0.2, 0.0, 2.5), ("CD1", 1.0, 0.0, 3.2), ("CD2", -1.4, 0.0, 3.2),
            ("CE1", 1.0, 0.0, 4.6), ("CE2", -1.4, 0.0, 4.6), ("CZ", -0.2, 0.0, 5.3)),
}  # fmt: skip
LIGAND = (
    ("C1", 1.4, 0.0, 0.0), ("C2", 0.7, 1.2, 0.0), ("C3", -0.7, 1.2, 0.0), ("C4", -1.4, 0.0, 0.0), ("C5", -0.7, -1.2, 0.0),
    ("C6", 0.7, -1.2, 0.0), ("N1", 2.8, 0.0, 0.3), ("O1", -2.8, 0.0, 0.3), ("N2", 1.4, 2.3, -0.5),
)  # fmt: skip
GLYCEROL = (
    ("C1", -1.3, 0.0, 0.0), ("O1", -2.3, 0.9, 0.0), ("C2", 0.0, 0.7, 0.3), ("O2", 0.2, 1.8, -0.5),
    ("C3", 1.3, -0.1, 0.0), ("O3", 2.4, 0.6, 0.3),
)  # fmt: skip


def buried_space(image: Array) -> Array:
    """Predict a site where an empty voxel has protein on both sides along all three axes, with its neighbours, as in LIGSITE
    (Hendlich et al. 1997)."""
    solid = image[..., 0] > 127
    pocket = ~solid
    for axis in range(3):
        behind = np.flip(np.maximum.accumulate(np.flip(solid, axis), axis), axis)
        pocket &= np.maximum.accumulate(solid, axis) & behind
    grown = pocket.copy()
    for axis in range(3):
        for step in (1, -1):
            grown |= np.roll(pocket, step, axis)  # the edge of the grid is empty
    return grown.astype(np.uint8)


SHORT = Short(
    (
        "--width",
        "4",
        "--depth",
        "1",
        "--input-size",
        "32",
        "--steps",
        "70",
        "--lr",
        "0.02",
        "--class-weights",
        "none",
        "--balance",
        "0.3",
    ),
    10,
    buried_space,
    "empty space that the protein encloses",
)


def turned(atoms: Array, along: Array, rng: np.random.Generator) -> Array:
    """Rotate positions `(N, 3)` so that z points along a direction, with a random rotation about it."""
    z = along / np.linalg.norm(along)
    x = np.cross(z, rng.normal(size=3))
    x /= np.linalg.norm(x)
    return atoms @ np.stack([x, np.cross(z, x), z])


def apart(rng: np.random.Generator) -> Array:
    """Draw centres `(POCKETS, 3)` of the pockets below the surface, in directions far from each other."""
    while True:
        directions = rng.normal(size=(POCKETS, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        between = directions @ directions.T - 2 * np.eye(POCKETS)
        if between.max() < 0.2:
            return np.asarray(directions * (RADIUS_ANGSTROM - 4))


def residues(pockets: Array, rng: np.random.Generator) -> Iterator[tuple[str, list[str], Array]]:
    """Yield the name, the names of the atoms and their positions `(N, 3)` of each residue."""
    steps = np.arange(-RADIUS_ANGSTROM, RADIUS_ANGSTROM, SPACING_ANGSTROM)
    places = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3) + SPACING_ANGSTROM / 2
    places = places + rng.uniform(-0.8, 0.8, places.shape)
    for place in places[np.linalg.norm(places, axis=1) < RADIUS_ANGSTROM]:
        gaps = np.linalg.norm(pockets - place, axis=1)
        nearest = int(gaps.argmin())
        if gaps[nearest] < POCKET_ANGSTROM:
            continue
        name, along = str(rng.choice(ANYWHERE)), rng.normal(size=3)
        if gaps[nearest] < POCKET_ANGSTROM + 5.5:
            name, along = str(rng.choice(LINED if nearest == 0 else BARE)), pockets[nearest] - place
        atoms = (*BACKBONE, *SIDE_CHAINS[name])
        places_of = turned(np.array([xyz for _, *xyz in atoms]), along, rng) + place
        away = (place - pockets[nearest]) / gaps[nearest]
        inside = POCKET_ANGSTROM - float(np.linalg.norm(places_of - pockets[nearest], axis=1).min())
        yield name, [atom for atom, *_ in atoms], places_of + max(0.0, inside) * away  # move residues out of the pocket


def record(kind: str, serial: int, atom: str, residue: str, number: int, place: Array, element: str) -> str:
    """Format a line of 80 columns."""
    name = f"{atom:<4}" if len(element) == 2 else f" {atom:<3}"
    x, y, z = place
    return (
        f"{kind:<6}{serial:>5} {name} {residue:>3} A{number:>4}    {x:8.3f}{y:8.3f}{z:8.3f}{1:6.2f}{20:6.2f}"
        f"{element:>12}  "
    )


def complex_of(name: str, rng: np.random.Generator) -> str:
    """Make the text of a PDB file."""
    shift = rng.uniform(-30, 30, 3)
    pockets = apart(rng)
    lines = [f"HEADER    MADE UP                                 01-JAN-26   {name:<4}".ljust(80)]
    number = 0

    def put(kind: str, residue: str, names: list[str], places: Array) -> None:
        for atom, place in zip(names, places, strict=True):
            element = atom if atom in ("SE", "ZN") else atom[0]
            lines.append(record(kind, len(lines), atom, residue, number, place + shift, element))

    for residue, names, places in residues(pockets, rng):
        number += 1
        put("HETATM" if residue == "MSE" else "ATOM", residue, names, places)
    lines.append(f"TER   {len(lines):>5}      {residue:>3} A{number:>4}".ljust(80))
    number = 300
    for residue, molecule, pocket in (("LIG", LIGAND, pockets[0]), ("GOL", GLYCEROL, pockets[1])):
        number += 1
        places = turned(np.array([xyz for _, *xyz in molecule]), rng.normal(size=3), rng) + pocket
        put("HETATM", residue, [atom for atom, *_ in molecule], places)
    outside = rng.normal(size=(9, 3))
    outside *= (RADIUS_ANGSTROM + 5) / np.linalg.norm(outside, axis=1, keepdims=True)
    for residue, atom, place in [(" ZN", "ZN", outside[0]), *(("HOH", "O", water) for water in outside[1:])]:
        number += 1
        put("HETATM", residue, [atom], place[None])
    return "\n".join([*lines, "END".ljust(80), ""])


def write(root: Path, count: int, seed: int) -> None:
    """Write `count` complexes."""
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        name = f"{number % 9 + 1}M{number // 9:02}"
        (root / f"{name.lower()}.pdb").write_text(complex_of(name, rng), "ascii")
