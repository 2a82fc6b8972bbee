"""From complexes in PDB format to a map over a structure that training never saw, whose maps gemmi reads back."""

from __future__ import annotations

import json
from pathlib import Path

import gemmi
import numpy as np
from seg_runtime import Segmenter
from seg_runtime.formats.structures import CHANNELS

from samples.generators import binding_site
from tests.support.commands import ok, seg_edge, seg_export, seg_run, seg_train


def test_from_complexes_to_a_map_over_a_structure(tmp_path: Path) -> None:
    data, model, file, out = tmp_path / "data", tmp_path / "m.pt", tmp_path / "m.onnx", tmp_path / "out"
    binding_site.write(data, 3, 0)
    binding_site.write(tmp_path / "new", 1, 5)
    tiny = ("--width", 2, "--depth", 1, "--input-size", 28, "--steps", 6, "--lr", 0.02, "--workers", 0)
    told = ok(seg_train(data, "--recipe", "binding-site", *tiny, "-o", model)).output
    assert "channels: 6" in told
    ok(seg_edge("evaluate", model, data))
    finer = seg_edge("evaluate", model, data, "--reader", "structure:1")
    assert "DATA has structures on voxels of 1 Å; expected structures on voxels of 2 Å" in finer.stderr
    ok(seg_export(model, file, "--images", data, "--golden", data))
    ok(seg_edge("self-test", "--model", file, "--provider", "cpu"))
    path = tmp_path / "new" / "1m00.pdb"
    ok(seg_run("--model", file, "--provider", "cpu", "--out", out, "--probabilities", "map", path))
    with Segmenter(file, provider="cpu") as segmenter:
        assert segmenter.contract.input.voxels is not None
        assert (segmenter.contract.input.voxels.side_angstrom, segmenter.contract.input.voxels.channels) == (
            2,
            CHANNELS,
        )
        found = segmenter(path, probabilities=True)
    scores = gemmi.read_ccp4_map(str(out / "1m00_probabilities.mrc"), setup=True).grid
    record = json.loads((out / "1m00.json").read_text())
    origin = np.array(record["structure"]["origin_angstrom"])
    rng = np.random.default_rng(0)
    for z, y, x in rng.integers(0, found.labels.shape, (50, 3)).tolist():
        there = gemmi.Position(*(origin + 2 * np.array([x, y, z])))
        assert scores.get_nearest_point(there).value == found.probabilities[1, z, y, x]
    mask = gemmi.read_ccp4_mask(str(out / "1m00_mask.mrc"))
    np.testing.assert_array_equal(np.array(mask.grid).transpose(2, 1, 0), found.labels)
