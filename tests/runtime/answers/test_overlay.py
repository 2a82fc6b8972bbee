from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from seg_runtime import ClassInfo, Intensity, Segmenter
from seg_runtime.answers.overlay import _outline, blend, overlay, visible
from seg_runtime.record import stack_record

from tests.support.images import noise_image
from tests.support.models import Made

CLASSES = [ClassInfo("ground", (0, 0, 0)), ClassInfo("cell", (200, 100, 0))]


def test_8_bits_are_shown_as_they_are() -> None:
    image = noise_image(4, 5)
    np.testing.assert_array_equal(visible(image), image)


def test_grey_and_grey_with_alpha_become_three_channels() -> None:
    assert visible(np.full((2, 2, 1), 7, np.uint8)).tolist() == [[[7, 7, 7]] * 2] * 2
    assert visible(np.dstack([np.full((2, 2), 7), np.full((2, 2), 255)]).astype(np.uint8)).max() == 7


def test_16_bits_are_stretched_for_the_eye() -> None:
    shown = visible(np.linspace(1000, 1400, 10_000).astype(np.uint16).reshape(100, 100, 1))
    assert shown.min() == 0
    assert shown.max() == 255


def test_a_constant_16_bit_field_does_not_divide_by_zero() -> None:
    with np.errstate(all="raise"):
        assert len(np.unique(visible(np.full((4, 4, 1), 900, np.uint16)))) == 1


def test_outline_by_hand() -> None:
    labels = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8)
    assert _outline(labels).astype(int).tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_blend_by_hand() -> None:
    labels = np.zeros((6, 6), np.uint8)
    labels[2:, 2:] = 1
    shown = blend(np.full((6, 6, 3), 100, np.uint8), labels, CLASSES)
    assert shown[0, 0].tolist() == [100, 100, 100]  # background
    assert shown[4, 4].tolist() == [135, 100, 65]  # 0.65 * 100 + 0.35 * colour
    assert shown[3, 1].tolist() == [200, 100, 0]  # _outline


def test_blend_changes_nothing_where_all_is_background() -> None:
    image = noise_image(5, 6)
    np.testing.assert_array_equal(blend(image, np.zeros((5, 6), np.uint8), CLASSES), image)


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (40, 900), (300, 20)])
def test_the_legend_lies_below_the_image(shape: tuple[int, int]) -> None:
    image = noise_image(*shape)
    sheet = np.asarray(overlay(image, np.zeros(shape, np.uint8), CLASSES))
    assert sheet.shape[0] > shape[0]
    np.testing.assert_array_equal(sheet[: shape[0], : shape[1]], image)
    legend = sheet[shape[0] :].reshape(-1, 3).tolist()
    assert [200, 100, 0] in legend


def test_256_classes_have_a_legend() -> None:
    many = [ClassInfo(f"class {i}", (i, 0, 0)) for i in range(256)]
    labels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    sheet = np.asarray(overlay(noise_image(16, 16), labels, many))
    assert [255, 0, 0] in sheet[16:].reshape(-1, 3).tolist()


def test_the_record_says_it_all(model: Made, tmp_path: Path) -> None:
    path = tmp_path / "field 1.png"
    Image.fromarray(noise_image(70, 50)).save(path)
    result = Segmenter(model.path, provider="cpu")(path)
    record = result.record
    assert record["input"] == {
        "name": "field 1.png", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "height": 70, "width": 50, "channels": 3, "dtype": "uint8",
    }  # fmt: skip
    assert record["model"]["sha256"] == hashlib.sha256(model.path.read_bytes()).hexdigest()
    assert record["provider"] == {"asked": "cpu", "used": "cpu", "fast_math": False}
    assert record["versions"]["onnxruntime"] == onnxruntime.__version__
    cells = int(result.labels.sum())
    assert 0 < cells < 3500
    assert [c["pixels"] for c in record["classes"]] == [3500 - cells, cells]
    assert [c["share"] for c in record["classes"]] == [(3500 - cells) / 3500, cells / 3500]
    assert [c["name"] for c in record["classes"]] == ["class 0", "class 1"]
    assert set(record["ms"]) >= {"decode", "preprocess", "inference", "postprocess"}
    assert all(v >= 0 for v in record["ms"].values())


def test_the_record_is_json(model: Made) -> None:
    record = Segmenter(model.path, provider="cpu")(noise_image(5, 5)).record
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_the_record_tells_16_bits_and_alpha(model: Made) -> None:
    image = np.full((3, 4, 4), 65535, np.uint16)
    told = Segmenter(model.path, provider="cpu")(image).record["input"]
    assert (told["dtype"], told["channels"], told["height"], told["width"]) == ("uint16", 4, 3, 4)


def page(name: str, ms: float) -> dict[str, object]:
    shared = {"model": {}, "provider": {}, "versions": {}, "classes": []}
    return {"input": {"name": name, "sha256": "0"}, "ms": {"inference": ms}, **shared}


def test_one_page_is_its_own_record() -> None:
    record = stack_record([page("a.png", 5)], {"decode": 1.00049}, {"mask": "a_mask.png"})
    assert record["ms"] == {"inference": 5, "decode": 1.0}
    assert record["outputs"] == {"mask": "a_mask.png"}
    assert "pages" not in record


def test_pages_are_listed() -> None:
    record = stack_record([page("a.tif", 5), page("a.tif", 7)], {"decode": 1}, {})
    assert record["input"]["pages"] == 2
    assert [p["ms"]["inference"] for p in record["pages"]] == [5, 7]


def test_a_model_that_sees_a_window_shows_it() -> None:
    image = np.array([[[-160.0], [40.0], [240.0], [3000.0]]], np.float32)
    shown = visible(image, Intensity("window", level=40, width=400))
    assert shown[0, :, 0].tolist() == [0, 127, 255, 255]
