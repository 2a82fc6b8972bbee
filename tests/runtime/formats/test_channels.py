from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_export.options import ExportOptions
from seg_export.pictures import pictures
from seg_export.pipeline import export, write
from seg_runtime import ImageError, SegError, Segmenter
from seg_runtime.batch import BatchOptions, find_tasks, run_tasks
from seg_runtime.formats.channels import group, stacked
from seg_runtime.support.errors import ContractError
from seg_toolkit.checkpoints import load
from seg_toolkit.data import ClassValues

from tests.support.contracts import changed, channel_files
from tests.support.images import noise_image
from tests.support.models import Made

ENDINGS = ("_dapi", "_actin", "_tubulin")
FILES = channel_files(*ENDINGS)


@pytest.fixture(scope="module")
def segmenter(model: Made, tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    checkpoint = load(model.checkpoint)
    path = tmp_path_factory.mktemp("stains") / "model.onnx"
    write(export(replace(checkpoint, contract=changed(checkpoint.contract, channel_files=FILES))), path)
    return Segmenter(path, provider="cpu")


def save_case(folder: Path, name: str, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    image = noise_image(20, 30, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    for channel, ending in enumerate(ENDINGS):
        Image.fromarray(image[..., channel]).save(folder / f"{name}{ending}.tif")
    return image


def go(segmenter: Segmenter, inputs: list[Path], out: Path) -> tuple[list[str | SegError], list[str]]:
    options = BatchOptions()
    tasks, failed = find_tasks(inputs, out, False, segmenter.contract, options)
    return [result for _, result in run_tasks(segmenter, tasks, options)], [str(error) for _, error in failed]


def test_a_case_is_one_image_and_its_record_names_all_files(segmenter: Segmenter, tmp_path: Path) -> None:
    images = {name: save_case(tmp_path / "in", name, seed) for seed, name in enumerate(("a", "b"))}
    assert go(segmenter, [tmp_path / "in"], tmp_path / "out") == (["done", "done"], [])
    for name, image in images.items():
        mask = np.asarray(Image.open(tmp_path / "out" / f"{name}_mask.png"))
        np.testing.assert_array_equal(mask, segmenter(image).labels)
        record = json.loads((tmp_path / "out" / f"{name}.json").read_bytes())
        assert record["input"]["files"] == [f"{name}{ending}.tif" for ending in ENDINGS]
        assert (record["input"]["name"], record["input"]["channels"]) == (name, 3)
    assert go(segmenter, [tmp_path / "in"], tmp_path / "out")[0] == ["skipped", "skipped"]


def test_any_channel_that_changed_is_seen(segmenter: Segmenter, tmp_path: Path) -> None:
    save_case(tmp_path / "in", "a")
    go(segmenter, [tmp_path / "in"], tmp_path / "out")
    Image.fromarray(noise_image(20, 30, seed=9)[..., 0]).save(tmp_path / "in" / "a_tubulin.tif")
    (result,), _ = go(segmenter, [tmp_path / "in"], tmp_path / "out")
    assert "another" in str(result)


def test_named_files_are_a_case_too_and_results_may_lie_beside_them(segmenter: Segmenter, tmp_path: Path) -> None:
    save_case(tmp_path, "a")
    files = [tmp_path / f"a{ending}.tif" for ending in reversed(ENDINGS)]
    assert go(segmenter, files, tmp_path) == (["done"], [])
    assert go(segmenter, [tmp_path], tmp_path) == (["skipped"], [])


def test_a_case_that_lacks_a_channel_fails_and_the_others_do_not(segmenter: Segmenter, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_case(tmp_path / "in", name)
    (tmp_path / "in" / "a_actin.tif").unlink()
    Image.fromarray(noise_image(20, 30)[..., 0]).save(tmp_path / "in" / "notes.png")
    done, failed = go(segmenter, [tmp_path / "in"], tmp_path / "out")
    assert done == ["done"]
    assert "notes.png is not a channel" in failed[0]
    assert "a lacks the channel _actin" in failed[1]


def test_channels_of_other_sizes_or_pages_fail(segmenter: Segmenter, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_case(tmp_path, name)
    Image.fromarray(noise_image(21, 30)[..., 0]).save(tmp_path / "a_tubulin.tif")
    page = Image.fromarray(noise_image(20, 30)[..., 0])
    page.save(tmp_path / "b_actin.tif", save_all=True, append_images=[page])
    first, second = go(segmenter, [tmp_path], tmp_path / "out")[0]
    assert "a_tubulin.tif has 30×21 px of uint8, a_dapi.tif 30×20" in str(first)
    assert "b_actin.tif has several pages" in str(second)


def test_one_channel_is_never_taken_for_all(segmenter: Segmenter, tmp_path: Path) -> None:
    save_case(tmp_path, "a")
    with pytest.raises(ImageError, match="CASE_dapi, CASE_actin, CASE_tubulin"):
        segmenter(tmp_path / "a_dapi.tif")


def test_the_longest_ending_counts() -> None:
    whole, failed = group([Path("x_b.tif"), Path("x_a_b.tif")], channel_files("_b", "_a_b"))
    assert (whole, failed) == ({Path("x"): (Path("x_b.tif"), Path("x_a_b.tif"))}, [])


def test_two_files_of_one_channel_are_named() -> None:
    _, failed = group([Path("x_b.png"), Path("x_b.tif"), Path("x_a.tif")], channel_files("_a", "_b"))
    assert "x_b.tif and x_b.png" in str(failed[0][1])


def test_colour_is_no_channel_and_equal_colours_are() -> None:
    grey = np.full((2, 3, 1), 7, np.uint8)
    np.testing.assert_array_equal(stacked([grey, np.repeat(grey, 3, -1)], ["a", "b"]), np.full((2, 3, 2), 7))
    with pytest.raises(ImageError, match="b has 3 channels"):
        stacked([grey, noise_image(2, 3)], ["a", "b"])


def test_a_coarse_channel_is_enlarged_pixel_by_pixel() -> None:
    coarse, fine = np.array([[[1], [2]]], np.uint16), np.arange(8, dtype=np.uint16).reshape(2, 4, 1)
    image = stacked([coarse, fine], ["a", "b"], channel_files("_a*2", "_b"))
    assert image[..., 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
    np.testing.assert_array_equal(image[..., 1:], fine)
    with pytest.raises(ImageError, match=r"a has 2×1 px of uint16, b 4×2 px of uint16; .* 1/4 of that size"):
        stacked([coarse, fine], ["a", "b"], channel_files("_a*4", "_b"))
    with pytest.raises(ImageError, match="with the same size"):
        stacked([coarse, fine], ["a", "b"])


@pytest.mark.parametrize(
    ("endings", "came"),
    [
        (("_a", "_b"), "'_a', '_b'.*; expected 3 different endings"), (("_a", "_a", "_b"), "'_a', '_a', '_b'.*; expected 3 different endings"), (("_a", "", "_b"), "the end of a file name"),
        (("_a", "x/y", "_b"), "the end of a file name"),
    ],
)  # fmt: skip
def test_a_contract_of_odd_channels_is_refused(model: Made, endings: tuple[str, ...], came: str) -> None:
    with pytest.raises(ContractError, match=came):
        changed(model.contract, channel_files=channel_files(*endings))


def test_export_is_proven_on_cases_as_seg_run_groups_them(model: Made, tmp_path: Path) -> None:
    checkpoint = load(model.checkpoint)
    named = replace(checkpoint, contract=changed(checkpoint.contract, channel_files=FILES))
    for seed, name in enumerate(("a", "b")):
        save_case(tmp_path / "images", name, seed)
    made = export(named, ExportOptions(images=tmp_path, golden=tmp_path))
    assert (made.contract.parity["windows"], made.contract.parity["images"]) == (2, "real")
    (tmp_path / "images" / "b_actin.tif").unlink()
    with pytest.raises(ImageError, match="b lacks the channel _actin"):
        export(named, ExportOptions(images=tmp_path))


@pytest.mark.parametrize("masks", [True, False])
def test_the_gate_of_a_precision_judges_cases_too(model: Made, tmp_path: Path, masks: bool) -> None:
    image = save_case(tmp_path / "images", "a")
    truth = (image[..., 0] > 90).astype(np.uint8)
    if masks:
        (tmp_path / "masks").mkdir()
        Image.fromarray(truth).save(tmp_path / "masks" / "a.png")
    contract, classes = changed(model.contract, channel_files=FILES), ClassValues.parse("background=0,thing=1")
    [picture] = pictures(tmp_path, contract, f"channels:files={'+'.join(ENDINGS)}", classes)
    ours, known = picture.with_truth(contract)
    np.testing.assert_array_equal(ours, image)
    assert (known is not None) == masks
    if known is not None:
        np.testing.assert_array_equal(known, truth)
