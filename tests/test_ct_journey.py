"""From CT slices with masks to a DICOM SEG of a slice that training never saw: one reader, the same units all the way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from seg_runtime.model.contract import METADATA_KEY, Contract

from tests.support.commands import ok, seg_export, seg_run, seg_train
from tests.support.dicom import placed, save
from tests.support.dicom_readers import by_highdicom, conforms

CODES = {"organ": {"category": ["123037004", "SCT", "Anatomical Structure"], "type": ["10200004", "SCT", "Liver"]}}


def slice_with_organ(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Stored CT values and mask of a disc of 60 HU in fat of -100 HU, padding around."""
    rows, columns = np.mgrid[:72, :80]
    mask = (rows - 30 - number) ** 2 + (columns - 35 + 2 * number) ** 2 < 13**2
    body = (rows - 36) ** 2 + (columns - 40) ** 2 < 34**2
    noise = np.random.default_rng(number).normal(0, 8, mask.shape)
    return (np.where(body, np.where(mask, 60, -100) + noise, -3024) + 1024).astype(np.int16), mask.astype(np.uint8)


def test_from_ct_slices_to_a_dicom_seg(tmp_path: Path) -> None:
    import highdicom
    import onnxruntime

    data = tmp_path / "data"
    (data / "masks").mkdir(parents=True)
    for number in range(5):
        pixels, mask = slice_with_organ(number)
        it = placed(pixels, (0, 0, 2 * number), number=number + 1, PixelPaddingValue=-2000)
        save(it, (tmp_path / "new" if number == 4 else data / "images") / f"s{number}.dcm")
        if number < 4:
            Image.fromarray(mask).save(data / "masks" / f"s{number}.png")
    (tmp_path / "codes.json").write_text(json.dumps(CODES))
    told = ok(seg_train(
        data, "-o", tmp_path / "m.pt", "--width", 4, "--depth", 2, "--input-size", 100, "--steps", 60,
        "--workers", 0, "--device", "cpu", "--lr", "1e-2", "--classes", "background=0,organ=1#c03030",
    )).output  # fmt: skip
    assert "intensity: window (grey values are signed, as in CT" in told
    ok(seg_export(tmp_path / "m.pt", tmp_path / "m.onnx", "--images", data, "--codes", tmp_path / "codes.json"))
    metadata = onnxruntime.InferenceSession(tmp_path / "m.onnx").get_modelmeta().custom_metadata_map
    contract = Contract.from_json(metadata[METADATA_KEY])
    assert (contract.input.pixels, contract.input.intensity.method) == ("float", "window")
    assert -1100 < contract.input.intensity.level < 200  # in HU, and not drawn down by the padding

    ok(seg_run(tmp_path / "new", "--model", tmp_path / "m.onnx", "--out", tmp_path / "out", "--provider", "cpu"))
    target = tmp_path / "out" / "new_seg.dcm"
    conforms(target)
    found, truth = by_highdicom(target, [tmp_path / "new" / "s4.dcm"])[0], slice_with_organ(4)[1]
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9
    segment = highdicom.seg.segread(target).get_segment_description(1)
    assert (segment.SegmentLabel, segment.segmented_property_type.value) == ("organ", "10200004")
