"""seg-run and Segmenter on structures of atoms, by a model of structures and by models that take none."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from seg_export.graph import stamped
from seg_export.pictures import pictures
from seg_export.pipeline import export, write
from seg_runtime import Segmenter
from seg_runtime.formats.structures import CHANNELS, Site
from seg_runtime.model.answer import ClassInfo
from seg_runtime.model.input import Voxels
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import ImageError
from seg_toolkit.networks.unet3d import UNet3D

from tests.support.commands import ok
from tests.support.commands import seg_run_on_cpu as seg_run
from tests.support.contracts import changed, contract_of
from tests.support.maps import by_the_standard
from tests.support.models import checkpoint_of
from tests.support.reading import read_voxels
from tests.support.structures import chain, text

VOXELS = Voxels(2.0, CHANNELS)
CLASSES = (ClassInfo("background", (0, 0, 0)), ClassInfo("site", (230, 60, 60)))
WINDOW = (20, 20, 20)


def protein(seed: int = 0) -> bytes:
    """A chain that wanders through a box of about 15 Å."""
    steps = np.random.default_rng(seed).normal(0, 2.5, (12, 3)).cumsum(0)
    return text(chain([(x, y, z) for x, y, z in steps.round(3).tolist()])).encode()


@dataclass(frozen=True)
class Made:
    atoms: Path
    scans: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A random model of structures, 20³ -> 4³, that finds a site in a part of every box, and the same one of scans."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(4)
    net = UNet3D(6, 2, 2, depth=1).eval()
    grid = read_voxels(protein(), "a.pdb", VOXELS)
    even = np.pad(grid, [*((4, 4 + n % 2) for n in grid.shape[:3]), (0, 0)])
    box = torch.from_numpy(even).movedim(-1, 0)[None].float() / 255
    with torch.no_grad():
        logits = net(box)[0]
        net.head.bias[1] -= (logits[1] - logits[0]).quantile(0.7)  # type: ignore[index]
    contract = contract_of(net, WINDOW, CLASSES, voxels=VOXELS)
    exported = export(checkpoint_of(net, contract))
    write(exported, folder / "atoms.onnx")
    graph = onnx.load_model_from_string(exported.content)
    (folder / "scans.onnx").write_bytes(stamped(graph, changed(exported.contract, voxels=None)))
    return Made(folder / "atoms.onnx", folder / "scans.onnx")


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def answer(made: Made, path: Path) -> tuple[Array, Array]:
    with Segmenter(made.atoms, provider="cpu") as segmenter:
        result = segmenter(path, probabilities=True)
    return result.labels, result.probabilities


def test_a_structure_gets_maps_that_lie_over_it_and_its_residues(tmp_path: Path, made: Made) -> None:
    path, out = put(tmp_path / "1abc.pdb.gz", protein()), tmp_path / "out"
    ok(seg_run("--model", made.atoms, "--out", out, "--probabilities", "map", "--overlay", path))
    assert {p.name for p in out.iterdir()} == {
        "1abc_mask.mrc", "1abc_probabilities.mrc", "1abc_overlay.png", "1abc.json"
    }  # fmt: skip
    labels, scores = answer(made, path)
    assert 0.05 < labels.mean() < 0.9
    site = Site.read(protein(), "a.pdb", VOXELS)
    for name, wanted in (("mask", labels), ("probabilities", scores[1])):
        values, first, step, _ = by_the_standard(out / f"1abc_{name}.mrc")
        np.testing.assert_array_equal(values, wanted)
        assert (first.tolist(), step) == (list(site.lattice.origin_angstrom), 2.0)
    record = json.loads((out / "1abc.json").read_text())
    assert record["outputs"] == {
        "mask": "1abc_mask.mrc", "overlay": "1abc_overlay.png", "probabilities_map": "1abc_probabilities.mrc"
    }  # fmt: skip
    assert record["complete"]
    assert record["structure"] == json.loads(json.dumps(site.record(labels, CLASSES)))
    assert record["structure"]["sites"][0]["residues"]
    assert record["classes"][1]["pixels"] == int(labels.sum())
    with Image.open(out / "1abc_overlay.png") as sheet:
        assert sheet.width >= labels.shape[2]


def test_a_folder_of_structures_is_skipped_and_overwritten_as_images_are(tmp_path: Path, made: Made) -> None:
    for seed in range(3):
        put(tmp_path / f"s{seed}.pdb", protein(seed))
    put(tmp_path / "bad.cif", b"no structure")
    words = ["--model", made.atoms, "--out", tmp_path, tmp_path]
    first = seg_run(*words)
    assert (first.exit_code, first.stdout.split(";")[0].strip()) == (1, "3 segmented, 1 failed")
    assert "bad.cif is not a readable structure" in first.stderr
    (tmp_path / "bad.cif").unlink()
    (tmp_path / "s1_mask.mrc").unlink()
    assert "1 segmented, 2 already done" in seg_run(*words).stdout
    put(tmp_path / "s2.pdb", protein(9))
    assert "s2.json is the record of another image of the same name" in seg_run(*words).stderr
    again = seg_run("--overwrite", "--probabilities", "npy", *words)
    assert "3 segmented" in again.stdout
    labels, scores = answer(made, tmp_path / "s2.pdb")
    np.testing.assert_array_equal(np.load(tmp_path / "s2_probabilities.npy"), scores)
    np.testing.assert_array_equal(by_the_standard(tmp_path / "s2_mask.mrc")[0], labels)
    put(tmp_path / "s2.cif", b"")
    assert "would write the same s2.json" in seg_run("--overwrite", *words).stderr


def test_models_of_structures_and_of_images_refuse_what_the_other_takes(tmp_path: Path, made: Made) -> None:
    atoms = put(tmp_path / "a.pdb", protein())
    pages = [Image.new("L", (20, 20), shade) for shade in range(20)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    for model, path, words in (
        (
            made.scans,
            atoms,
            "a.pdb is a structure of atoms; expected a DICOM image or a NIfTI volume or a picture, like the training data",
        ),
        (made.atoms, tmp_path / "a.tif", "a.tif is a picture; expected a structure of atoms, like the training data"),
        (
            made.atoms,
            put(tmp_path / "a.nii.gz", b"volume"),
            "a.nii.gz is a NIfTI volume; expected a structure of atoms",
        ),
    ):
        told = seg_run("--model", model, "--out", tmp_path / "out", path)
        assert (told.exit_code, words in told.stderr) == (1, True), told.stderr
    with Segmenter(made.scans, provider="cpu") as segmenter, pytest.raises(ImageError, match="structure of atoms"):
        segmenter(atoms)
    with Segmenter(made.scans, provider="cpu") as scans:  # the voxels themselves are a volume like any other
        np.testing.assert_array_equal(scans(read_voxels(protein(), "a", VOXELS)).labels, answer(made, atoms)[0])


def test_forms_of_the_probabilities_that_an_input_cannot_have(tmp_path: Path, made: Made) -> None:
    atoms = put(tmp_path / "a.pdb", protein())
    told = seg_run("--model", made.atoms, "--out", tmp_path / "o", "--probabilities", "tiff", atoms)
    assert "--probabilities needs npy, or tiff for a model of images, or map for a model of molecular" in told.stderr
    pages = [Image.new("L", (20, 20), shade) for shade in range(20)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    told = seg_run("--model", made.scans, "--out", tmp_path / "o", "--probabilities", "map", tmp_path / "a.tif")
    assert "or map for a model of molecular structures. Choose one of these." in told.stderr
    assert not (tmp_path / "o").exists()


def test_a_structure_that_is_too_large_fails_alone(tmp_path: Path, made: Made) -> None:
    put(tmp_path / "a.pdb", protein())
    put(tmp_path / "b.pdb", text([*chain([(0, 0, 0)]), *chain([(900.0, 0, 0)], name="B")]).encode())
    told = seg_run("--model", made.atoms, "--out", tmp_path / "out", "--max-pixels", 200_000, tmp_path)
    assert "1 segmented, 1 failed" in told.stdout
    assert "b.pdb is 903×2×1 Å large" in told.stderr


def test_of_a_folder_a_model_takes_what_it_was_made_for(tmp_path: Path, made: Made) -> None:
    """A picture and a structure of one name in one folder are no clash: the model tells which is meant."""
    (tmp_path / "in").mkdir()
    put(tmp_path / "in" / "a.pdb", protein())
    pages = [Image.new("L", (20, 20), shade) for shade in range(20)]
    pages[0].save(tmp_path / "in" / "a.tif", save_all=True, append_images=pages[1:])
    ok(seg_run("--model", made.atoms, "--out", tmp_path / "out", tmp_path / "in"))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.json", "a_mask.mrc"]
    (tmp_path / "in" / "a.tif").unlink()
    told = seg_run("--model", made.scans, "--out", tmp_path / "other", tmp_path / "in")
    assert (told.exit_code, "has no images" in told.stderr) == (1, True)
    found = pictures(tmp_path / "in", Segmenter(made.atoms, provider="cpu").contract)
    assert [Path(picture.name).name for picture in found] == ["a.pdb"]
