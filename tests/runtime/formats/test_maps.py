"""Maps that lie over their structure, and the residues at a site."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest
from seg_runtime.formats.structures import CHANNELS, Site
from seg_runtime.formats.structures.format import LINING_ANGSTROM
from seg_runtime.model.answer import ClassInfo
from seg_runtime.model.input import Voxels
from seg_runtime.pipeline import Array
from seg_runtime.support.atomic import write_atomic

from tests.support.maps import by_the_standard
from tests.support.structures import chain, text

FULL = Path("/dev/full")
VOXELS = Voxels(1.5, CHANNELS)
CLASSES = (ClassInfo("background", (0, 0, 0)), ClassInfo("site", (230, 60, 60)), ClassInfo("other", (60, 60, 230)))
PLACES = [(-12.3, 40.1, 7.0), (-8.6, 41.0, 9.9), (-5.0, 43.3, 12.4), (-2.2, 46.0, 15.5)]


@pytest.fixture
def site() -> Site:
    return Site.read(text(chain(PLACES)).encode(), "a.pdb", VOXELS)


def marked(site: Site, place: tuple[float, float, float], value: int = 1) -> Array:
    """Labels with one voxel set, the nearest to a place in Å."""
    labels = np.zeros(site.lattice.shape, np.uint8)
    z, y, x = np.rint(np.array(place[::-1]) / 1.5).astype(int) - site.lattice.start
    labels[z, y, x] = value
    return labels


def test_a_map_lies_where_its_structure_does(tmp_path: Path, site: Site) -> None:
    path = tmp_path / "a.mrc"
    for value, place in enumerate(PLACES, 1):
        labels = marked(site, place, value)
        write_atomic(path, lambda file, now=labels: site.write_labels(file, now))  # type: ignore[misc]
        values, first, step, mode = by_the_standard(path)
        assert (mode, step, values.shape) == (0, 1.5, site.lattice.shape)
        [(z, y, x)] = np.argwhere(values)
        assert np.abs(first + step * np.array([x, y, z]) - place).max() <= 0.75  # half a voxel
        there = gemmi.read_ccp4_map(str(path), setup=True)
        assert there.grid.get_nearest_point(gemmi.Position(*place)).value == value
        away = gemmi.Position(place[0] + 3, place[1], place[2])
        assert there.grid.get_nearest_point(away).value == 0
    assert [p.name for p in tmp_path.iterdir()] == ["a.mrc"]


def test_a_map_of_probabilities_keeps_its_values(tmp_path: Path, site: Site) -> None:
    scores = np.random.default_rng(0).random((3, *site.lattice.shape), np.float32)
    write_atomic(tmp_path / "p.mrc", lambda file: site.write_probability(file, scores))
    values, _, _, mode = by_the_standard(tmp_path / "p.mrc")
    assert mode == 2
    np.testing.assert_array_equal(values, scores[1:].max(0))


def test_many_classes_need_two_bytes(tmp_path: Path, site: Site) -> None:
    labels = marked(site, PLACES[0], 200)
    write_atomic(tmp_path / "m.mrc", lambda file: site.write_labels(file, labels))
    values, _, _, mode = by_the_standard(tmp_path / "m.mrc")
    assert mode == 1
    np.testing.assert_array_equal(values, labels)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_noticed(site: Site) -> None:
    with FULL.open("r+b") as file, pytest.raises(OSError, match="No space left on device"):
        site.write_labels(file, marked(site, PLACES[0]))


def test_residues_at_a_site_are_those_within_reach_of_its_voxels(site: Site) -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        inside = rng.random(site.lattice.shape) < 0.002
        centres = (np.argwhere(inside) + site.lattice.start)[:, ::-1] * 1.5
        gaps = np.linalg.norm(site.structure.positions[:, None] - centres, axis=-1).min(1)
        wanted = sorted(set(site.structure.owners[gaps <= LINING_ANGSTROM].tolist()))
        assert [int(r["number"]) - 1 for r in site.lining(inside)] == wanted


def test_the_record_tells_place_and_residues(site: Site) -> None:
    labels = np.maximum(marked(site, (-14.5, 40.1, 7.0)), marked(site, PLACES[3], 2))
    told = site.record(labels, CLASSES)
    assert told["origin_angstrom"] == [s * 1.5 for s in site.lattice.start[::-1]]
    assert (told["atoms"], told["residues"], told["voxel_angstrom"]) == (20, 4, 1.5)
    assert told["channels"] == list(CHANNELS)
    first, second = told["sites"]
    assert (first["class"], first["volume_angstrom3"]) == ("site", 3.375)
    assert first["residues"] == [{"chain": "A", "number": "1", "name": "ALA"}]
    assert {"chain": "A", "number": "4", "name": "ALA"} in second["residues"]
    nothing = site.record(np.zeros_like(labels), CLASSES)["sites"]
    assert [(s["volume_angstrom3"], s["residues"]) for s in nothing] == [(0, []), (0, [])]
