"""Structures of atoms: what the network sees of them, and where it lies."""

from __future__ import annotations

import gzip
import math
import subprocess
import sys
import tracemalloc

import gemmi
import numpy as np
import pytest
from seg_runtime.formats.structures import CHANNELS, Lattice, Structure, Structures, read_structure
from seg_runtime.formats.structures.voxels import PAD_ANGSTROM
from seg_runtime.model.input import Voxels
from seg_runtime.support.errors import ImageError, SegError

from tests.support.reading import read_voxels
from tests.support.structures import chain, line, text

TWO, ONE = Voxels(2.0, CHANNELS), Voxels(1.0, CHANNELS)
LONE = (3.1, -7.9, 12.4)


def structure(lines: list[str]) -> Structure:
    return read_structure(text(lines).encode(), "a.pdb")


def atom_of(lines: list[str], voxels: Voxels = ONE) -> dict[str, float]:
    """Largest value of each channel."""
    values = read_voxels(text(lines).encode(), "a.pdb", voxels)
    return {name: int(values[..., place].max()) for place, name in enumerate(voxels.channels)}


def test_an_atom_fills_the_voxels_around_it_by_its_distance() -> None:
    found = structure([line(1, "CA", "ALA", 1, LONE)])
    lattice = Lattice.around(found, TWO, "a")
    values = lattice.filled(found, TWO)
    assert values.shape == (*lattice.shape, 6)
    # the nearest multiples of 2 Å to z 12.4, y -7.9, x 3.1 are 12, -8, 4: 1.0 Å away, where a carbon fills all of it
    z, y, x = (n - s for n, s in zip((6, -4, 2), lattice.start, strict=True))
    assert values[z, y, x].tolist() == [255, 255, 0, 0, 0, 0]
    # one voxel down in x: (2, -8, 12) is √(1.1² + 0.1² + 0.4²) = 1.1747 Å away; one up in y: (4, -6, 12) 2.1401 Å
    assert values[z, y, x - 1, 0] == round(255 * (1 - math.exp(-((1.7 / 1.17473) ** 12))))
    assert values[z, y + 1, x, 0] == round(255 * (1 - math.exp(-((1.7 / 2.14009) ** 12)))) == 16
    assert values[0].max() == values[:, 0].max() == values[:, :, -1].max() == 0


def test_the_grid_lies_at_multiples_of_a_voxel_and_reaches_beyond_every_atom() -> None:
    lattice = Lattice.around(structure([line(1, "CA", "ALA", 1, LONE)]), TWO, "a")
    # x from 3.1 - 8 = -4.9 to 11.1: -6 to 12; y from -15.9 to 0.1: -16 to 2; z from 4.4 to 20.4: 4 to 22
    assert lattice == Lattice((10, 10, 10), (2, -8, -3), 2.0)
    assert lattice.origin_angstrom == (-6.0, -16.0, 4.0)
    assert PAD_ANGSTROM == 8


def test_a_structure_that_is_moved_by_whole_voxels_looks_the_same() -> None:
    places = [(0.3, 1.2, -2.0), (4.1, 0.7, 1.9), (7.3, -2.2, 3.1)]
    here = structure(chain(places))
    there = structure(chain([(x + 40, y - 6, z + 12) for x, y, z in places]))
    grids = [Lattice.around(s, TWO, "a") for s in (here, there)]
    assert np.subtract(grids[1].start, grids[0].start).tolist() == [6, -3, 20]
    np.testing.assert_array_equal(grids[0].filled(here, TWO), grids[1].filled(there, TWO))


def test_axes_are_not_exchanged() -> None:
    far = [(0.0, 0.0, 0.0), (4.0, 8.0, 20.0)]
    values = read_voxels(text([line(i, "CA", "ALA", i + 1, p) for i, p in enumerate(far)]).encode(), "a.pdb", TWO)
    assert values.shape[:3] == (19, 13, 11)  # (20 + 16) / 2 + 1 along z, then y, then x
    assert [values[4, 4, 4, 0], values[14, 8, 6, 0]] == [255, 255]
    assert (values[..., 0] == 255).sum() == 2


@pytest.mark.parametrize(
    ("atom", "residue", "element", "channel"),
    [
        ("CB", "ALA", "C", "carbon"), ("CG", "PHE", "C", "aromatic"), ("CB", "PHE", "C", "carbon"),
        ("NE1", "TRP", "N", "nitrogen"), ("CH2", "TRP", "C", "aromatic"), ("CE1", "HIS", "C", "aromatic"),
        ("CG", "MET", "C", "carbon"), ("OG", "SER", "O", "oxygen"), ("SG", "CYS", "S", "sulphur"),
        ("SE", "MSE", "SE", "sulphur"), ("C8", "DA", "C", "aromatic"), ("C1'", "DA", "C", "carbon"), ("P", "DA", "P", ""),
    ],
)  # fmt: skip
def test_every_atom_is_in_occupied_and_in_the_channel_of_its_kind(
    atom: str, residue: str, element: str, channel: str
) -> None:
    seen = atom_of([line(1, atom, residue, 1, (0, 0, 0), element=element)])
    assert {name for name, most in seen.items() if most} == {"occupied", channel} - {""}


def test_only_the_chains_are_seen() -> None:
    protein = chain([(0, 0, 0), (3.8, 0, 0), (7.6, 0, 0)])
    others = [
        line(90, "H", "ALA", 1, (0, 3, 0)), line(91, "D", "ALA", 1, (0, 4, 0), element="D"), "TER",
        line(92, "C1", "LIG", 201, (20, 0, 0), kind="HETATM"), line(93, "O", "HOH", 301, (30, 0, 0), kind="HETATM"),
        line(94, "ZN", "ZN", 202, (40, 0, 0), kind="HETATM", element="ZN"),
    ]  # fmt: skip
    found = structure([*protein, *others])
    assert len(found.positions) == 15
    assert [r.name for r in found.residues] == ["ALA"] * 3
    assert [(ligand.residue.name, len(ligand.positions)) for ligand in found.ligands] == [("LIG", 1), ("ZN", 1)]
    plain = structure(protein)
    np.testing.assert_array_equal(found.positions, plain.positions)
    assert Lattice.around(found, TWO, "a") == Lattice.around(plain, TWO, "a")


def test_modified_residues_belong_to_their_chain() -> None:
    lines = chain([(0, 0, 0), (3.8, 0, 0), (7.6, 0, 0)])
    lines[5:10] = [one.replace("ATOM  ", "HETATM").replace("ALA", "MSE") for one in lines[5:10]]
    found = structure([*lines, "TER"])
    assert [r.name for r in found.residues] == ["ALA", "MSE", "ALA"]
    assert not found.ligands


def test_of_alternatives_the_one_with_the_highest_occupancy_is_seen() -> None:
    lines = chain([(0, 0, 0), (3.8, 0, 0)])
    lines[4:5] = [
        line(5, "CB", "ALA", 1, (-0.8, -0.7, 1.1), alt="A", occupancy=0.3),
        line(6, "CB", "ALA", 1, (-0.9, -0.6, -1.0), alt="B", occupancy=0.7),
    ]
    found = structure(lines)
    assert len(found.positions) == 10
    assert found.positions[4].tolist() == [-0.9, -0.6, -1.0]
    mixed = [*chain([(0, 0, 0)])]
    for alt, name, share in (("A", "SER", 0.4), ("B", "THR", 0.6)):
        mixed += [
            line(20, atom, name, 2, (4 + place, 0, 0), alt=alt, occupancy=share)
            for place, atom in enumerate(("N", "CA", "C", "O", "CB", "OG" if name == "SER" else "OG1"))
        ]
    found = structure([*mixed, *chain([(11, 0, 0)], first=3)])
    assert [r.name for r in found.residues] == ["ALA", "THR", "ALA"]


def test_of_several_models_the_first_is_seen() -> None:
    lines = []
    for number, x in enumerate((0.0, 50.0), 1):
        lines += [f"MODEL     {number:>4}", *chain([(x, 0, 0), (x + 3.8, 0, 0)]), "ENDMDL"]
    assert structure(lines).positions[:, 0].max() < 10


def test_every_format_and_packing_gives_the_same_voxels() -> None:
    lines = [*chain([(0, 0, 0), (3.8, 0, 0), (7.6, 1, 0)]), *chain([(0, 8, 0), (3.8, 8, 1)], name="B"), "TER",
             line(99, "C1", "LIG", 201, (5, 4, 9), kind="HETATM")]  # fmt: skip
    plain = text(lines).encode()
    parsed = gemmi.read_pdb_string(text(lines))
    parsed.setup_entities()
    cif = parsed.make_mmcif_document().as_string().encode()
    wanted = read_voxels(plain, "a.pdb", TWO)
    assert wanted.any()
    for data, name in (
        (plain, "a.ent"), (gzip.compress(plain), "a.pdb.gz"), (plain, "A.PDB.GZ"), (cif, "a.cif"),
        (gzip.compress(cif), "a.cif.gz"), (plain.replace(b"\n", b"\r\n"), "a.pdb"),
    ):  # fmt: skip
        assert Structures().named(name)
        np.testing.assert_array_equal(read_voxels(data, name, TWO), wanted)
        assert [r.chain for r in read_structure(data, name).residues] == ["A"] * 3 + ["B"] * 2


def test_near_finds_what_a_search_through_all_voxels_finds() -> None:
    rng = np.random.default_rng(0)
    lattice, points = Lattice((9, 11, 13), (-4, 3, -7), 1.5), rng.uniform(-25, 25, (60, 3))
    centres = (np.stack(np.meshgrid(*map(np.arange, lattice.shape), indexing="ij"), -1) + lattice.start) * 1.5
    gaps = np.linalg.norm(centres.reshape(-1, 1, 3)[..., ::-1] - points, axis=-1)
    found = np.full(gaps.shape, np.inf)
    for which, where, distance in lattice.near(points, 4.0):
        found[where, which] = distance
    np.testing.assert_allclose(found, np.where(gaps <= 4, gaps, np.inf), atol=1e-12)
    assert np.isfinite(found).sum() > 100


def test_residues_are_named_as_their_authors_number_them() -> None:
    lines = [*chain([(0, 0, 0)], first=-3), line(9, "CA", "GLY", 52, (3.8, 0, 0), insertion="B")]
    residues = structure(lines).residues
    assert [(r.chain, r.number, r.insertion, r.name) for r in residues] == [("A", -3, "", "ALA"), ("A", 52, "B", "GLY")]


GOOD = chain([(0, 0, 0), (3.8, 0, 0)])
WATER = [line(1, "O", "HOH", 1, (0, 0, 0), kind="HETATM")]
WRONG = {
    "empty.pdb": (b"", "has no atoms"),
    "empty.cif": (b"", "is not a readable structure"),
    "text.pdb": (b"It was a dark and stormy night;\nthe rain fell in torrents.\n", "has no atoms"),
    "text.cif": (b"It was a dark and stormy night.\n", "is not a readable structure"),
    "escape.cif": (b"data_x\n_y.\x1b[2J 1\n_y.\x1b[2J 1\n", r"is not a readable structure \([^\x1b]*\)"),
    "picture.pdb": (b"\x89PNG\r\n\x1a\n" + bytes(400), "has no atoms"),
    "factors.cif": (b"data_r\nloop_\n_refln.index_h\n_refln.index_k\n1 2\n", "has no atoms"),
    "water.pdb": (text(WATER).encode(), "no atoms of a protein"),
    "header.pdb": (b"HEADER    OXYGEN TRANSPORT\nEND\n", "has no atoms"),
    "nan.pdb": (text(GOOD).replace("   3.800", "     nan").encode(), r"line 6 of nan.pdb has the coordinates"),
    "stars.pdb": (text(GOOD).replace("   3.800", "********").encode(), r"\*\*\*.*numbers in columns 31 to 54"),
    "short.pdb": ("\n".join(one[:40] for one in GOOD).encode(), "line 1 of short.pdb has the coordinates"),
    "cut.pdb.gz": (gzip.compress(text(GOOD).encode())[:-30], "is damaged"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_file_is_refused_in_a_line(name: str) -> None:
    data, told = WRONG[name]
    with pytest.raises(ImageError, match=told):
        read_structure(data, name)


ATOM = line(1, "CA", "ALA", 1, (0, 0, 0)) + "\n"
COLUMNS = "data_x\nloop_\n" + "".join(
    f"_atom_site.{name}\n" for name in ("id", "type_symbol", "label_atom_id", "label_comp_id", "label_asym_id", "label_seq_id",
                                        "Cartn_x", "Cartn_y", "Cartn_z")
)  # fmt: skip
ROW = "1 C CA ALA A 1 0 0 0\n"
SWOLLEN = {
    "bytes.pdb.gz": (
        "REMARK   1".ljust(1024) * (65 << 10),
        "unpacks to more than 67108864 bytes. Keep only its first model",
    ),
    "bytes.pdb": (ATOM * 830_000, "bytes of text; expected at most 67108864"),
    "atoms.pdb.gz": ("\n" + ATOM * 500_001, "more than 500000 atoms"),
    "atoms.cif.gz": (COLUMNS + ROW * 500_001, "more than 500000 atoms"),
    "values.cif.gz": ("data_x\nloop_\n_x.a\n" + "1\n" * 12_000_000, "12000003 values; expected at most 12000000"),
    "chains.pdb.gz": ((ATOM + ATOM.replace(" A ", " B ")) * 10_001, "20002 parts of chains; expected at most 20000"),
}


@pytest.mark.parametrize("name", list(SWOLLEN))
def test_a_small_file_that_unpacks_to_much_is_refused_before_it_fills_the_memory(name: str) -> None:
    text, told = SWOLLEN[name]
    data = gzip.compress(text.encode(), 1) if name.endswith(".gz") else text.encode()
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=told):
            read_structure(data, name)
        assert tracemalloc.get_traced_memory()[1] < 300 << 20
    finally:
        tracemalloc.stop()


def test_a_damaged_checksum_is_noticed_and_several_members_are_one_text() -> None:
    plain = text(GOOD).encode()
    parts = gzip.compress(plain[:200]), gzip.compress(plain[200:])
    assert len(read_structure(b"".join(parts), "a.pdb.gz").positions) == 10
    for data in (parts[0] + parts[1][:-8] + bytes(8), parts[0] + b"\0" + parts[1], parts[0] + parts[1][:-1]):
        with pytest.raises(ImageError, match=r"a\.pdb\.gz is damaged"):
            read_structure(data, "a.pdb.gz")


def test_a_cif_without_coordinates_is_refused() -> None:
    parsed = gemmi.read_pdb_string(text(GOOD))
    parsed.setup_entities()
    cif = parsed.make_mmcif_document().as_string()
    for odd in ("?", "nan", "1e30"):
        with pytest.raises(ImageError, match=r"coordinates|not a readable structure"):
            read_structure(cif.replace(" 3.8 ", f" {odd} ").encode(), "a.cif")


def test_an_enormous_structure_is_refused_before_its_grid_is_made() -> None:
    far = structure([*GOOD, *chain([(9000.0, 0, 0), (-900.0, 9000.0, 9000.0)], name="B")])
    with pytest.raises(
        ImageError, match=r"Å large, which makes \d+ voxels in 6 channels; expected at most 178956970. Keep"
    ):
        Lattice.around(far, TWO, "virus.pdb")
    with pytest.raises(ImageError, match="expected at most 100"):
        read_voxels(text(GOOD).encode(), "a.pdb", TWO, max_pixels=100)


def test_a_channel_of_a_later_version_is_refused() -> None:
    with pytest.raises(
        ImageError, match="structure channel 'charge', which this version does not know; expected occupied, carbon"
    ):
        read_voxels(text(GOOD).encode(), "a.pdb", Voxels(2.0, ("occupied", "charge")))


def test_without_gemmi_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seg_runtime.support.imports.find_spec", lambda name: None)
    with pytest.raises(SegError, match=r"gemmi is not installed.*pip install 'seg-edge\[structure\]'"):
        read_structure(text(GOOD).encode(), "a.pdb")


def test_nobody_who_has_pictures_only_needs_gemmi() -> None:
    code = "import sys, seg_runtime.batch, seg_runtime.formats; sys.exit('gemmi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
