"""Structures in PDB and mmCIF format, packed or not."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import partial

import gemmi
import numpy as np
from seg_runtime.formats import FORMATS, ReadOptions
from seg_runtime.formats.structures.format import Site
from seg_runtime.model import Voxels

from tests.fuzz.target import Seed, Target
from tests.support import structures
from tests.support.contracts import TWO

_OPTIONS = ReadOptions(axes=3, voxels=Voxels(2.0, ("occupied", "carbon", "sulphur")), max_pixels=1 << 18)


def _text() -> str:
    chain = structures.chain([(0.0, 0.0, 0.0), (3.8, 0.0, 0.0), (7.6, 0.0, 1.0)])
    ligand = structures.line(40, "C1", "LIG", 90, (4.0, 4.0, 4.0), kind="HETATM")
    other = structures.line(41, "CA", "GLY", 4, (9.0, 1.0, 1.0), alt="B", insertion="A", occupancy=0.5)
    return structures.text([*chain, other, ligand])


def _read(data: bytes, name: str) -> None:
    for page in FORMATS.get("structure").read(data, name, _OPTIONS):
        assert page.array.ndim == 4
        assert isinstance(page.place, Site)
        page.place.record(np.ones(page.array.shape[:3], np.uint8), TWO)


def _seeds(content: bytes) -> Mapping[str, Seed]:
    return {
        "plain": Seed(content),
        "packed": Seed(content, gzip.compress),
        "damaged pack": Seed(gzip.compress(content)),
    }


def _cif() -> bytes:
    found = gemmi.read_pdb_string(_text())
    found.setup_entities()
    found.assign_label_seq_id()
    return found.make_mmcif_document().as_string().encode()


TARGETS = {
    "pdb": Target(partial(_read, name="a.pdb"), lambda: _seeds(_text().encode())),
    "cif": Target(partial(_read, name="a.cif"), lambda: _seeds(_cif())),
}
