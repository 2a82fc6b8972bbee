"""Structures in PDB format, written column by column."""

from __future__ import annotations

from collections.abc import Sequence

Place = tuple[float, float, float]


def line(
    serial: int, atom: str, residue: str, number: int, place: Place, *, kind: str = "ATOM", chain: str = "A", alt: str = "",
    insertion: str = "", occupancy: float = 1.0, element: str = "",
) -> str:  # fmt: skip
    """One record of 80 columns."""
    element = element or atom[0]
    name = f"{atom:<4}" if len(element) == 2 or len(atom) > 3 else f" {atom:<3}"
    x, y, z = place
    return (
        f"{kind:<6}{serial:>5} {name}{alt or ' '}{residue:>3} {chain}{number:>4}{insertion or ' '}   "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{occupancy:6.2f}{20:6.2f}{element:>12}  "
    )


def text(lines: Sequence[str]) -> str:
    """A file of these records."""
    return "\n".join([*lines, "END".ljust(80), ""])


ALANINE: tuple[tuple[str, Place], ...] = (
    ("N", (0.0, 1.4, 0.0)), ("CA", (0.0, 0.0, 0.0)), ("C", (1.5, -0.4, 0.2)), ("O", (2.2, -0.2, 1.2)), ("CB", (-0.8, -0.7, 1.1)),
)  # fmt: skip


def chain(places: Sequence[Place], residue: str = "ALA", name: str = "A", first: int = 1) -> list[str]:
    """A chain of alanines, each with its CA at a place."""
    return [
        line(5 * number + serial, atom, residue, first + number, (x + dx, y + dy, z + dz), chain=name)
        for number, (x, y, z) in enumerate(places)
        for serial, (atom, (dx, dy, dz)) in enumerate(ALANINE, 1)
    ]
