"""seg-run and Segmenter on volumes, by a model of volumes and by a model of slices."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch
from PIL import Image
from seg_export.options import ExportOptions
from seg_export.pipeline import export, write
from seg_runtime import Segmenter
from seg_runtime.batch import BatchOptions, find_tasks, run_tasks
from seg_runtime.formats.nifti import read_volume
from seg_runtime.model.answer import ClassInfo
from seg_runtime.model.input import Intensity
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import ImageError
from seg_toolkit.checkpoints import load
from seg_toolkit.networks import Network
from seg_toolkit.networks.unet import UNet
from seg_toolkit.networks.unet3d import UNet3D
from skimage.measure import regionprops_table

from tests.support.commands import ok, seg_edge, seg_export
from tests.support.commands import seg_run_on_cpu as seg_run
from tests.support.contracts import changed, channel_files, contract_of
from tests.support.models import Made, made
from tests.support.nifti import affine_of, nifti, put_nifti, stored

SHAPE = (9, 22, 26)
CLASSES = (ClassInfo("background", (0, 0, 0)), ClassInfo("thing", (230, 60, 60)))


def volume(channels: int = 1, seed: int = 0) -> Array:
    """`(D, H, W, C)` whole grey values in 0..200, blocks and noise, without symmetry."""
    rng = np.random.default_rng(seed)
    blocks = rng.random((3, 6, 7, channels)).repeat(3, 0).repeat(4, 1).repeat(4, 2)[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return np.rint(150 * blocks + 50 * rng.random((*SHAPE, channels))).astype(np.float32)


def mixed(net: Network, images: Array, window: tuple[int, ...]) -> None:
    """Set the last bias so that half of the voxels get the second class."""
    box = images[tuple(slice(n) for n in window)] if images.ndim == len(window) + 1 else images[0]
    padded = np.pad(
        box, [(0, n - have) for n, have in zip(window, box.shape[:-1], strict=True)] + [(0, 0)], "symmetric"
    )
    with torch.no_grad():
        for _ in range(2):
            logits = net(torch.from_numpy(np.ascontiguousarray(padded)).movedim(-1, 0)[None] / 200)[0]
            net.head.bias[1] -= (logits[1] - logits[0]).median()  # type: ignore[index, union-attr]


def by_window(folder: Path, net: Network, window: tuple[int, ...], pixels: str = "float") -> Made:
    """A model whose intensity takes any grey values of `volume`."""
    intensity = Intensity("window", level=100, width=200)
    return made(folder, net, contract_of(net, window, intensity=intensity, pixels=pixels))


@pytest.fixture(scope="module")
def solid(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model of volumes, 20×28×28 -> 4×12×12."""
    torch.manual_seed(3)
    net = UNet3D(1, 2, 2, depth=1).eval()
    mixed(net, volume(), (20, 28, 28))
    return by_window(tmp_path_factory.mktemp("solid"), net, (20, 28, 28))


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model of slices of two channels, 36×36 -> 20×20."""
    torch.manual_seed(2)
    net = UNet(2, 2, 4, depth=1).eval()
    mixed(net, volume(2), (36, 36))
    return by_window(tmp_path_factory.mktemp("flat"), net, (36, 36))


@pytest.mark.parametrize(("order", "name"), [("RAS", "a.nii"), ("PIR", "a.nii.gz"), ("LPS", "a.NII.GZ")])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_labels_of_a_nifti_are_those_of_the_plain_array(
    tmp_path: Path, solid: Made, order: str, name: str, dtype: str
) -> None:
    path = put_nifti(tmp_path / "a.nii", nifti(volume(), order, dtype))
    if name.lower().endswith(".gz"):
        path = put_nifti(tmp_path / "b.gz", nifti(volume(), order, dtype)).rename(tmp_path / name)
    with Segmenter(solid.path, provider="cpu") as segmenter:
        plain = segmenter(volume())
        ours = segmenter(path)
        np.testing.assert_array_equal(ours.labels, plain.labels)
        np.testing.assert_array_equal(ours.probabilities, plain.probabilities)
        assert ours.probabilities.shape == (2, *SHAPE)
    assert 0.1 < plain.labels.mean() < 0.9
    ok(seg_run("--model", solid.path, "--out", tmp_path / "out", path))
    mask = nibabel.load(tmp_path / "out" / "a_mask.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), stored(plain.labels[..., None], order))
    np.testing.assert_array_equal(mask.affine, nibabel.Nifti1Image.from_bytes(nifti(volume(), order).to_bytes()).affine)


def test_a_pair_of_files_in_a_folder_is_one_volume(tmp_path: Path, solid: Made) -> None:
    (tmp_path / "in").mkdir()
    nibabel.save(nifti(volume(), "SAL", kind=nibabel.Nifti1Pair), tmp_path / "in" / "a.img")
    put_nifti(tmp_path / "b.nii", nifti(volume(), "SAL"))
    (tmp_path / "in" / "light.hdr").write_bytes(b"#?RADIANCE\n" + bytes(400))
    ok(seg_run("--model", solid.path, "--out", tmp_path / "out", tmp_path / "in", tmp_path / "b.nii"))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a.json", "a_mask.nii.gz", "b.json", "b_mask.nii.gz",
    ]  # fmt: skip
    one, other = (nibabel.load(tmp_path / "out" / f"{name}_mask.nii.gz") for name in "ab")
    np.testing.assert_array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))
    np.testing.assert_array_equal(one.affine, other.affine)


def test_a_model_of_slices_answers_a_volume_slice_by_slice(tmp_path: Path, flat: Made) -> None:
    put_nifti(tmp_path / "a.nii", nifti(volume(2), "SAL"))
    with Segmenter(flat.path, provider="cpu") as segmenter:
        told: list[tuple[int, int]] = []
        ours = segmenter(tmp_path / "a.nii", progress=lambda done, total: told.append((done, total)))
        each = [segmenter(plane) for plane in volume(2)]
        np.testing.assert_array_equal(ours.labels, np.stack([s.labels for s in each]))
        np.testing.assert_array_equal(ours.probabilities, np.stack([s.probabilities for s in each], axis=1))
    assert told == [(n, told[0][1]) for n in range(1, told[0][1] + 1)]
    assert 0.1 < ours.labels.mean() < 0.9
    ok(seg_run("--model", flat.path, "--out", tmp_path, tmp_path / "a.nii"))
    record = json.loads((tmp_path / "a.json").read_text())
    assert [record["input"][k] for k in ("depth", "height", "width", "channels")] == [*SHAPE, 2]
    assert nibabel.load(tmp_path / "a_mask.nii.gz").shape == (9, 22, 26)


def test_objects_of_a_volume_are_measured_in_the_order_of_its_file(tmp_path: Path, flat: Made) -> None:
    image = nifti(volume(2), "SAL")
    put_nifti(tmp_path / "a.nii", image)
    ok(seg_run("--model", flat.path, "--out", tmp_path, tmp_path / "a.nii", "--measure", "--objects", "--no-overlay"))
    ids = np.asarray(nibabel.load(tmp_path / "a_objects.nii.gz").dataobj)
    expected = regionprops_table(ids, np.asarray(image.dataobj), properties=("label", "bbox", "area", "intensity_mean"))
    with (tmp_path / "a_objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name, values in expected.items():
        np.testing.assert_allclose([float(row[name]) for row in rows], values, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(
        [float(row["volume_mm3"]) for row in rows], expected["area"] * 0.7 * 1.1 * 3.0, rtol=1e-6
    )
    assert all(0.5 <= float(row["mean_probability"]) <= 1 for row in rows)


def test_volumes_and_positions_are_those_of_simpleitk(tmp_path: Path, flat: Made) -> None:
    """Voxels of 0.7 × 1.1 × 3 mm, whose axes point elsewhere than those of the array."""
    put_nifti(tmp_path / "a.nii", nifti(volume(2), "SAL"))
    ok(seg_run("--model", flat.path, "--out", tmp_path, tmp_path / "a.nii", "--measure", "--objects", "--no-overlay"))
    ids = SimpleITK.Cast(SimpleITK.ReadImage(tmp_path / "a_objects.nii.gz"), SimpleITK.sitkUInt32)
    shapes = SimpleITK.LabelShapeStatisticsImageFilter()
    shapes.Execute(ids)
    with (tmp_path / "a_objects.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["label"]) for row in rows] == list(shapes.GetLabels())
    turned = np.array(ids.GetDirection()).reshape(3, 3)
    for row in rows:
        label = int(row["label"])
        assert int(row["area"]) == shapes.GetNumberOfPixels(label)
        assert float(row["volume_mm3"]) == pytest.approx(shapes.GetPhysicalSize(label), rel=1e-5)
        along_mm = [float(row[f"centroid-{axis}_mm"]) for axis in range(3)]
        np.testing.assert_allclose(ids.GetOrigin() + turned @ along_mm, shapes.GetCentroid(label), atol=1e-4)


def test_scans_of_one_case_may_be_files_of_their_own(tmp_path: Path, flat: Made) -> None:
    checkpoint = load(flat.checkpoint)
    named = changed(checkpoint.contract, channel_files=channel_files("_t1", "_t2"))
    for channel, ending in enumerate(("_t1", "_t2")):
        put_nifti(tmp_path / f"a{ending}.nii.gz", nifti(volume(2)[..., channel : channel + 1], "SAL"))
    write(export(replace(checkpoint, contract=named), ExportOptions(images=tmp_path)), tmp_path / "m.onnx")
    words = ["--model", tmp_path / "m.onnx", "--out", tmp_path / "out", "--overlay", tmp_path]
    ok(seg_run(*words))
    with Segmenter(flat.path, provider="cpu") as segmenter:
        wanted = np.stack([segmenter(plane).labels for plane in volume(2)])
    mask = nibabel.load(tmp_path / "out" / "a_mask.nii.gz")
    np.testing.assert_array_equal(np.asarray(mask.dataobj), stored(wanted[..., None], "SAL"))
    assert "1 already done" in seg_run(*words).stdout
    put_nifti(tmp_path / "a_t2.nii.gz", nifti(volume(2)[..., 1:], "RAS"))
    refused = seg_run("--overwrite", *words)
    assert refused.exit_code == 1
    assert "a_t2.nii.gz and a_t1.nii.gz have different voxel grids" in refused.stderr


def test_a_volume_that_holds_all_scans_is_a_case_too(tmp_path: Path, flat: Made) -> None:
    """As the Medical Segmentation Decathlon keeps BraTS."""
    checkpoint = load(flat.checkpoint)
    named = changed(checkpoint.contract, channel_files=channel_files("_t1", "_t2"))
    scans = tmp_path / "imagesTr"
    scans.mkdir()
    put_nifti(scans / "BRATS_001.nii.gz", nifti(volume(2), "SAL"))
    for channel, ending in enumerate(("_t1", "_t2")):
        put_nifti(scans / f"b{ending}.nii.gz", nifti(volume(2)[..., channel : channel + 1], "SAL"))
    write(export(replace(checkpoint, contract=named), ExportOptions(images=scans)), tmp_path / "m.onnx")
    put_nifti(scans / "b_seg.nii.gz", nifti(volume(1), "SAL"))  # ground truth beside its scans, as BraTS has it
    words = ["--model", tmp_path / "m.onnx", "--out", tmp_path / "out", scans]
    told = ok(seg_run(*words))
    assert "b_seg.nii.gz is not a channel" in seg_run(*words[:-1], scans / "b_seg.nii.gz").stderr
    one, other = (nibabel.load(tmp_path / "out" / f"{name}_mask.nii.gz") for name in ("BRATS_001", "b"))
    np.testing.assert_array_equal(np.asarray(one.dataobj), np.asarray(other.dataobj))
    record = json.loads((tmp_path / "out" / "BRATS_001.json").read_text())
    assert (record["input"]["channels"], "files" in record["input"]) == (2, False)
    assert "2 already done" in seg_run(*words).stdout
    put_nifti(scans / "BRATS_002.nii.gz", nifti(volume(3), "SAL"))
    put_nifti(scans / "BRATS_003.nii.gz", nifti(volume(1), "SAL"))
    (scans / "BRATS_004.nii.gz").write_bytes(b"no volume")
    put_nifti(scans / "b.nii.gz", nifti(volume(2), "SAL"))
    told = seg_run(*words)
    assert told.exit_code == 1
    assert (
        "BRATS_002.nii.gz is not a channel of a case and has 3 channels; expected CASE_t1, CASE_t2, or one volume"
        in told.stderr
    )
    assert "BRATS_003.nii.gz is not a channel of a case and has 1 channel;" in told.stderr
    assert "BRATS_004.nii.gz is not a NIfTI file" in told.stderr
    assert "b has more than one file for a channel (b.nii.gz, b_t1.nii.gz, b_t2.nii.gz); expected each" in told.stderr


def test_a_folder_of_volumes_is_skipped_resumed_and_overwritten_as_images_are(tmp_path: Path, solid: Made) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for seed in range(3):
        put_nifti(scans / f"s{seed}.nii.gz", nifti(volume(seed=seed), "RAS"))
    words = ["--model", solid.path, "--out", out, "--overlay", "--probabilities", "npy", scans]
    first = seg_run(*words)
    assert (first.exit_code, first.stdout.split(";")[0].strip()) == (0, "3 segmented")
    names = {"_mask.nii.gz", ".json", "_overlay.png", "_probabilities.npy"}
    assert {p.name for p in out.iterdir()} == {f"s{seed}{end}" for seed in range(3) for end in names}
    record = json.loads((out / "s1.json").read_text())
    assert record["outputs"]["mask"] == "s1_mask.nii.gz"
    assert record["classes"][1]["pixels"] == int(nibabel.load(out / "s1_mask.nii.gz").get_fdata().sum())
    scores = np.load(out / "s1_probabilities.npy")
    mask = np.asarray(nibabel.load(out / "s1_mask.nii.gz").dataobj)
    np.testing.assert_array_equal(scores.argmax(0), mask)
    assert "3 already done" in seg_run(*words).stdout
    (out / "s2_mask.nii.gz").unlink()
    assert "1 segmented, 2 already done" in seg_run(*words).stdout
    put_nifti(scans / "s0.nii.gz", nifti(volume(seed=9), "RAS"))
    assert "s0.json is the record of another image of the same name" in seg_run(*words).stderr
    assert "3 segmented" in seg_run("--overwrite", *words).stdout
    beside = seg_run("--model", solid.path, "--out", scans, scans)
    assert "3 segmented" in beside.stdout
    assert "3 already done" in seg_run("--model", solid.path, "--out", scans, scans).stdout  # masks are no inputs


def test_the_results_of_a_volume_are_written_before_the_next_one_is_segmented(
    tmp_path: Path, solid: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        put_nifti(tmp_path / f"{name}.nii.gz", nifti(volume(), "RAS"))
    written: list[list[str]] = []
    with Segmenter(solid.path, provider="cpu") as segmenter:
        segment_page = segmenter.segment_page

        def seen(*words: Any, **more: Any) -> Any:
            written.append(sorted(path.name for path in (tmp_path / "out").glob("*_mask.nii.gz")))
            return segment_page(*words, **more)

        monkeypatch.setattr(segmenter, "segment_page", seen)
        tasks, failed = find_tasks([tmp_path], tmp_path / "out", False, segmenter.contract, BatchOptions(jobs=3))
        assert [result for _, result in run_tasks(segmenter, tasks, BatchOptions(jobs=3))] == ["done"] * 3
    assert failed == []
    assert written == [[], ["a_mask.nii.gz"], ["a_mask.nii.gz", "b_mask.nii.gz"]]


def test_the_pages_of_a_tiff_are_one_volume_for_a_model_of_volumes(tmp_path: Path, solid: Made) -> None:
    planes = [Image.fromarray(plane[..., 0].astype(np.uint16)) for plane in volume()]
    planes[0].save(tmp_path / "a.tif", save_all=True, append_images=planes[1:])
    words = ["--model", solid.path, "--out", tmp_path / "out", "--overlay", "--probabilities", "tiff"]
    ok(seg_run(*words, tmp_path / "a.tif"))
    with Segmenter(solid.path, provider="cpu") as segmenter:
        wanted = segmenter(volume()).labels
        planes[0].save(tmp_path / "one.tif")
        with pytest.raises(ImageError, match="single image"):
            segmenter(tmp_path / "one.tif")
        with pytest.raises(ImageError, match=r"expected \(D, H, W\)"):
            segmenter(volume()[0, ..., 0])
    with Image.open(tmp_path / "out" / "a_mask.tif") as mask:
        pages = []
        for page in range(mask.n_frames):
            mask.seek(page)
            pages.append(np.asarray(mask))
    np.testing.assert_array_equal(np.stack(pages), wanted)
    with Image.open(tmp_path / "out" / "a_probabilities.tif") as scores:
        assert scores.n_frames == 2 * SHAPE[0]
    with Image.open(tmp_path / "out" / "a_overlay.png") as sheet:
        assert sheet.width >= 3 * SHAPE[2]


def test_pages_that_differ_are_no_volume(tmp_path: Path, solid: Made) -> None:
    pages = [Image.new("L", size) for size in ((30, 30), (30, 29))]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    told = seg_run("--model", solid.path, "--out", tmp_path, tmp_path / "a.tif")
    assert told.exit_code == 1
    assert "pages of ((30, 30, 1), 'uint8') and of ((29, 30, 1), 'uint8'); expected pages of one size" in told.stderr


def test_wrong_volumes_fail_alone_in_a_line_each(tmp_path: Path, solid: Made) -> None:
    good = nifti(volume()).to_bytes()
    (tmp_path / "short.nii.gz").write_bytes(gzip.compress(good)[:-50])
    (tmp_path / "text.nii").write_text("no volume")
    put_nifti(tmp_path / "two.nii", nifti(volume(2)))
    put_nifti(tmp_path / "good.nii", nifti(volume()))
    told = seg_run("--model", solid.path, "--out", tmp_path / "out", tmp_path)
    assert told.exit_code == 1
    assert "1 segmented, 3 failed" in told.stdout
    for text in ("short.nii.gz is damaged", "text.nii is not a NIfTI file", "two.nii has 2 channels; expected 1"):
        assert text in told.stderr
    refused = seg_run("--model", solid.path, "--out", tmp_path / "b", "--probabilities", "tiff", tmp_path / "good.nii")
    assert "a NIfTI volume, which does not support --probabilities tiff" in refused.stderr


def test_export_proves_itself_on_volumes_and_refuses_what_is_for_images(tmp_path: Path, solid: Made) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for seed in range(2):
        put_nifti(scans / f"s{seed}.nii.gz", nifti(volume(seed=seed), "RAS"))
    words = [str(solid.checkpoint), str(tmp_path / "m.onnx"), "--images", str(scans), "--golden", str(scans)]
    done = ok(seg_export(*words, "--input-size", "22,28,30"))
    assert "windows compared" in done.output
    tested = ok(seg_edge("self-test", "--model", tmp_path / "m.onnx"))
    assert json.loads(tested.stdout)["self_test"]["samples"] == 4
    for option in (["--host-ready"], ["--optimize"], ["--tune"], ["--precision", "fp16", "--calibration", str(scans)]):
        refused = seg_export(*words, *option)
        assert refused.exit_code == 1
        assert f"{option[0]} needs a model of images. Leave " in refused.stderr


def test_several_windows_of_a_volume_go_in_one_call(tmp_path: Path, solid: Made) -> None:
    write(export(load(solid.checkpoint), ExportOptions(batch=4)), tmp_path / "four.onnx")
    with Segmenter(tmp_path / "four.onnx", provider="cpu") as four, Segmenter(solid.path, provider="cpu") as one:
        assert four.contract.file.batch == 4
        ours, wanted = four(volume(seed=1)), one(volume(seed=1))  # 3×2×3 windows: the last call is half full
    np.testing.assert_allclose(ours.probabilities, wanted.probabilities, atol=1e-5)
    assert (ours.labels != wanted.labels).mean() < 1e-3


def test_export_of_a_model_of_slices_takes_volumes_too(tmp_path: Path, flat: Made) -> None:
    put_nifti(tmp_path / "a.nii.gz", nifti(volume(2)))
    words = [str(flat.checkpoint), str(tmp_path / "m.onnx"), "--images", str(tmp_path), "--golden", str(tmp_path)]
    ok(seg_export(*words))
    assert read_volume((tmp_path / "a.nii.gz").read_bytes(), "a")[1].affine == pytest.approx(affine_of("RAS"))


def test_a_host_ready_model_of_slices_answers_a_volume_too(tmp_path: Path, flat: Made) -> None:

    write(
        export(load(flat.checkpoint), ExportOptions(host_ready=True, host_dtype="float32", host_probabilities=True)),
        tmp_path / "host.onnx",
    )
    put_nifti(tmp_path / "a.nii", nifti(volume(2), "PIR"))
    with Segmenter(tmp_path / "host.onnx", provider="cpu") as host, Segmenter(flat.path, provider="cpu") as plain:
        ours, wanted = host(tmp_path / "a.nii"), plain(tmp_path / "a.nii")
        np.testing.assert_array_equal(ours.labels, wanted.labels)
        np.testing.assert_allclose(ours.probabilities, wanted.probabilities, atol=1e-5)
