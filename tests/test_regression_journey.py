"""The whole way of a regression: samples of coarse and fine files -> model.pt -> model.onnx -> values in the targets' units."""

import json

import numpy as np
import torch
from PIL import Image, ImageSequence
from seg_runtime.answers import answer_of
from seg_runtime.pipeline import fitted
from seg_toolkit.checkpoints import load
from seg_toolkit.data.readers import read_data_set
from seg_toolkit.networks import torch_infer

from samples.generators import pansharpening
from tests.support.commands import ok, seg_edge, seg_export, seg_run, seg_train


def test_what_the_edge_writes_is_what_torch_answers(tmp_path):
    data, model, file, out = (tmp_path / name for name in ("data", "m.pt", "m.onnx", "out"))
    pansharpening.write(data, 3, 0)
    tiny = ["--width", 4, "--depth", 2, "--input-size", 76, "--workers", 0, "--steps", 6, "--device", "cpu"]
    ok(seg_train(data, "--recipe", "pansharpening", *tiny, "-o", model))
    ok(seg_export(model, file, "--images", data, "--golden", data))
    ok(seg_edge("self-test", "--model", file, "--provider", "cpu"))
    ok(seg_run("--model", file, "--provider", "cpu", "--out", out, "--overlay", data / "images"))
    assert len(list(out.glob("*_values.tif"))) == 3
    checkpoint = load(model)
    infer = torch_infer(checkpoint.build(), torch.device("cpu"))
    scales = np.array([o.scale for o in checkpoint.contract.answer.outputs])[:, None, None]
    for case in read_data_set(checkpoint.reader, data, print).cases:
        expected = answer_of(checkpoint.contract).segment(fitted(case.image(), checkpoint.contract), infer)
        with Image.open(out / f"{case.name}_values.tif") as image:
            written = np.stack([np.array(page) for page in ImageSequence.Iterator(image)])
        assert written.shape == (4, 112, 112)
        assert (np.abs(written - expected) < 1e-4 * scales).all()
        assert 0 < np.median(written) < 2047  # counts, as the targets are
        record = json.loads((out / f"{case.name}.json").read_text())
        assert [v["name"] for v in record["values"]] == ["red", "green", "blue", "nir"]
