"""Complexes of the Protein Data Bank: which molecule is a ligand, and where its site lies."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from seg_runtime.formats.structures import CHANNELS, read_structure
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import DataError, ImageError, SegError
from seg_toolkit.data import Case, ClassValues
from seg_toolkit.data.readers import read_data_set

from samples.generators import binding_site
from tests.support.folders import cases_of
from tests.support.reading import read_voxels
from tests.support.structures import chain, line, text

CLASSES = ClassValues.parse("background=0,site=1")
PROTEIN = chain([(0, 0, 0), (3.8, 0, 0), (7.6, 0, 0)])


def quiet(note: str) -> None:
    pass


def molecule(name: str, count: int, place: tuple[float, float, float], number: int = 301) -> list[str]:
    """A row of carbons 1 Å apart."""
    x, y, z = place
    return [line(100 + i, f"C{i + 1}", name, number, (x + i, y, z), kind="HETATM", element="C") for i in range(count)]


def put(path: Path, *molecules: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text([*PROTEIN, "TER", *(one for lines in molecules for one in lines)]))


def truth(case: Case) -> Array:
    return case.read(CLASSES).labels


def test_a_site_is_where_the_ligand_lies(tmp_path: Path) -> None:
    put(tmp_path / "1abc.pdb", molecule("LIG", 7, (2.0, 6.0, 0.0)), molecule("HOH", 1, (-4, -4, -4), 400))
    [case] = cases_of("structure", tmp_path, quiet)
    example = case.read(CLASSES)
    np.testing.assert_array_equal(example.image, case.image())
    voxels = read_data_set("structure", tmp_path, quiet).voxels
    assert voxels is not None
    np.testing.assert_array_equal(example.image, read_voxels((tmp_path / "1abc.pdb").read_bytes(), "1abc.pdb", voxels))
    # voxels of 2 Å start at -10 in x (from -0.8 - 8), -10 in y (-1.1 - 8), -8 in z; the ligand's row is (2..8, 6, 0)
    z, y, x = np.meshgrid(*(first + 2.0 * np.arange(n) for first, n in zip((-8, -10, -10), example.labels.shape, strict=True)),
                          indexing="ij")  # fmt: skip
    beyond = np.maximum(0, np.maximum(2 - x, x - 8))
    np.testing.assert_array_equal(example.labels, np.sqrt(beyond**2 + (y - 6) ** 2 + z**2) <= 4)
    assert case.values() == {0: str(tmp_path / "1abc.pdb"), 1: str(tmp_path / "1abc.pdb")}
    assert voxels.channels == CHANNELS


def test_additives_ions_and_water_are_no_ligands(tmp_path: Path) -> None:
    put(tmp_path / "a.pdb", molecule("LIG", 7, (2, 6, 0)))
    put(tmp_path / "b.pdb", molecule("LIG", 7, (2, 6, 0)), molecule("GOL", 6, (2, -6, 0), 302),
        molecule("SO4", 5, (2, 0, 6), 303), molecule("XYZ", 5, (2, 0, -6), 304), molecule("PEG", 7, (0, 0, 9), 305))  # fmt: skip
    put(tmp_path / "c.pdb", molecule("EDO", 4, (2, 6, 0)))
    told: list[str] = []
    first, second = cases_of("structure", tmp_path, told.append)
    assert told == ["1 structure without a ligand, left out: c"]
    np.testing.assert_array_equal(truth(first), truth(second))
    [only] = cases_of("structure:ligands=edo+atp", tmp_path, quiet)
    assert only.name == "c"
    assert truth(only).any()


def test_voxels_and_reach_are_options(tmp_path: Path) -> None:
    put(tmp_path / "a.pdb", molecule("LIG", 7, (2, 6, 0)))
    [plain] = cases_of("structure", tmp_path, quiet)
    [fine] = cases_of("structure:1", tmp_path, quiet)
    [wide] = cases_of("structure:voxel=2,reach=6", tmp_path, quiet)
    voxels = read_data_set("structure:1", tmp_path, quiet).voxels
    assert voxels is not None
    assert voxels.side_angstrom == 1
    assert truth(fine).size > 6 * truth(plain).size
    assert (truth(wide) >= truth(plain)).all()
    assert truth(wide).sum() > 1.8 * truth(plain).sum()
    for odd in ("voxel=0", "voxel=nan", "voxel=9", "voxel=two", "reach=0", "reach=-1", "reach=99"):
        with pytest.raises(SegError, match=rf"structure:{odd}; expected a length in Å"):
            cases_of(f"structure:{odd}", tmp_path, quiet)


def test_the_archives_own_folders_are_read(tmp_path: Path) -> None:
    for name in ("ab/pdb1abc.ent.gz", "xy/pdb2xyz.ent.gz"):
        put(tmp_path / name, molecule("LIG", 7, (2, 6, 0)))
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    (tmp_path / "readme.txt").write_text("no structure")
    assert [c.name for c in cases_of("structure", tmp_path, quiet)] == ["pdb1abc", "pdb2xyz"]


def test_wrong_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere has no structures.*expected DATA/NAME\.pdb"):
        cases_of("structure", tmp_path / "nowhere", quiet)
    (tmp_path / "a.mol2").write_text("")
    with pytest.raises(DataError, match=r"has no structures; expected DATA/NAME\.pdb"):
        cases_of("structure", tmp_path, quiet)
    put(tmp_path / "c.pdb", molecule("EDO", 4, (2, 6, 0)))
    with pytest.raises(
        DataError, match=r"none of the 1 structures in .* has a ligand; expected a molecule that belongs to no chain"
    ):
        cases_of("structure", tmp_path, quiet)
    put(tmp_path / "a.pdb", molecule("LIG", 7, (2, 6, 0)))
    put(tmp_path / "a.ent", molecule("LIG", 7, (2, 6, 0)))
    with pytest.raises(DataError, match=r"a\.pdb and .*a\.ent have the same name"):
        cases_of("structure", tmp_path, quiet)
    (tmp_path / "a.ent").write_text("no structure")
    (tmp_path / "a.pdb").unlink()
    with pytest.raises(ImageError, match=r"a\.ent has no atoms"):
        cases_of("structure", tmp_path, quiet)


def test_the_samples_are_real_pdb_files(tmp_path: Path) -> None:
    binding_site.write(tmp_path, 2, 0)
    [first, _] = cases_of("structure", tmp_path, quiet)
    lines = (tmp_path / "1m00.pdb").read_text().splitlines()
    assert {len(one) for one in lines} == {80}
    found = read_structure((tmp_path / "1m00.pdb").read_bytes(), "1m00.pdb")
    assert [ligand.residue.name for ligand in found.ligands] == ["LIG", "GOL", "ZN"]
    assert 60 < len(found.residues) < 200
    assert "MSE" in {r.name for r in found.residues}
    gaps = np.linalg.norm(found.positions[:, None] - found.ligands[0].positions, axis=-1)
    assert 2.5 < gaps.min() < 5  # in its pocket, touching nothing
    assert 0.005 < truth(first).mean() < 0.1


def test_atoms_of_a_ligand_that_share_a_name_all_count(tmp_path: Path) -> None:
    """As docking programs write them; several places of one atom are told by the column for alternatives."""
    named = molecule("LIG", 7, (2.0, 6.0, 0.0))
    put(tmp_path / "named" / "1abc.pdb", named)
    put(tmp_path / "alike" / "1abc.pdb", [f"{one[:12]} C  {one[16:]}" for one in named])
    [first], [second] = (cases_of("structure", tmp_path / part, quiet) for part in ("named", "alike"))
    assert truth(first).any()
    np.testing.assert_array_equal(truth(second), truth(first))
