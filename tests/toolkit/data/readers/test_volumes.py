"""Readers of volumes: the public layouts exactly, and what is wrong with others."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image
from seg_runtime.model.input import Intensity
from seg_runtime.pipeline import Float
from seg_runtime.support.errors import DataError, SegError
from seg_toolkit.checkpoints import load
from seg_toolkit.data import Case, ClassValues
from seg_toolkit.data.readers import read_data_set
from seg_toolkit.training.objectives.labels import LabelObjective
from seg_toolkit.training.windows import WindowStream

from samples.generators import brain_tumour, pancreas, sparse_volume
from tests.support.commands import ok, seg_edge, seg_train
from tests.support.contracts import channel_files, contract
from tests.support.folders import cases_of, write_pairs
from tests.support.streams import label_stream

BRATS = ClassValues.parse("background=0,necrosis=1,edema=2,enhancing=4")
MSD = ClassValues.parse("background=0,pancreas=1,tumour=2")
TUBULES = ClassValues.parse("background=0,wall=1,lumen=2")


def quiet(text: str) -> None:
    raise AssertionError(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("data")
    for name, module in (("brats", brain_tumour), ("nifti", pancreas), ("sparse", sparse_volume)):
        module.write(root / name, 2, 0)
    return {name: root / name for name in ("brats", "nifti", "sparse")}


def test_brats_has_four_channels_and_its_label_4(data: dict[str, Path]) -> None:
    cases = cases_of("brats", data["brats"], quiet)
    assert [c.name for c in cases] == ["BraTS20_Training_001", "BraTS20_Training_002"]
    example = cases[0].read(BRATS)
    scans, labels = brain_tumour.case(np.random.default_rng(0))
    np.testing.assert_array_equal(example.image, np.stack([scans[s] for s in ("flair", "t1", "t1ce", "t2")], axis=-1))
    np.testing.assert_array_equal(example.labels, np.array([0, 1, 2, 255, 3])[labels])
    assert set(cases[0].values()) == {0, 1, 2, 4}
    files = read_data_set("brats", data["brats"], quiet).channel_files
    assert files == channel_files("_flair", "_t1", "_t1ce", "_t2")  # seg-run takes a case as BraTS lays it out


def test_brats_in_graded_folders_and_without_labels(tmp_path: Path) -> None:
    brain_tumour.write(tmp_path / "HGG", 2, 0)
    (tmp_path / "HGG" / "BraTS20_Training_002" / "BraTS20_Training_002_seg.nii.gz").unlink()
    told: list[str] = []
    assert [c.name for c in cases_of("brats", tmp_path, told.append)] == ["BraTS20_Training_001"]
    assert told == ["1 volume without labels, left out: BraTS20_Training_002"]


def test_the_decathlon_is_read_as_dataset_json_lists_it(data: dict[str, Path]) -> None:
    cases = cases_of("nifti", data["nifti"], quiet)
    scan, labels = pancreas.case(np.random.default_rng(0))
    example = cases[0].read(MSD)
    np.testing.assert_array_equal(example.image[..., 0], scan)
    np.testing.assert_array_equal(example.labels, labels)


def test_a_volume_that_dataset_json_leaves_out_is_told(tmp_path: Path) -> None:
    pancreas.write(tmp_path, 2, 0)
    listed = json.loads((tmp_path / "dataset.json").read_text())
    listed["training"].pop()
    (tmp_path / "dataset.json").write_text(json.dumps(listed))
    told: list[str] = []
    assert len(cases_of("nifti", tmp_path, told.append)) == 1
    assert told == [f"1 file in {part} without a case, left out: pancreas_002" for part in ("imagesTr", "labelsTr")]
    (tmp_path / "labelsTr" / "pancreas_001.nii.gz").unlink()
    with pytest.raises(DataError, match=r"labelsTr lacks pancreas_001, which dataset\.json lists"):
        cases_of("nifti", tmp_path, told.append)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"dataset\.json cannot be read"):
        cases_of("nifti", tmp_path, quiet)


@pytest.mark.parametrize(
    ("reader", "told"),
    [("brats", "no case with labels"), ("nifti", "imagesTr has no NIfTI"), ("sparse", "no volume with labels")],
)
def test_another_layout_is_refused_with_the_one_wanted(tmp_path: Path, reader: str, told: str) -> None:
    write_pairs(tmp_path)
    with pytest.raises(DataError, match=f"{told}.*expected DATA/"):
        cases_of(reader, tmp_path, quiet)


def test_a_scan_that_lacks_or_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    brain_tumour.write(tmp_path, 1, 0)
    folder = tmp_path / "BraTS20_Training_001"
    path = folder / "BraTS20_Training_001_t1ce.nii.gz"
    image = nibabel.load(path)
    moved = image.affine + np.outer([0, 0, 5, 0], [0, 0, 0, 1])
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), moved), path)
    with pytest.raises(DataError, match=r"t1ce\.nii\.gz and the first file of its case have different voxel grids"):
        cases_of("brats", tmp_path, quiet)[0].read(BRATS)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj)[1:], image.affine), path)
    with pytest.raises(DataError, match="48×48×24"):
        cases_of("brats", tmp_path, quiet)[0].read(BRATS)
    path.unlink()
    with pytest.raises(DataError, match=r"lacks BraTS20_Training_001_t1ce\.nii\.gz"):
        cases_of("brats", tmp_path, quiet)


@pytest.mark.parametrize("order", ["LPS", "SAR", "PIL"])
def test_labels_at_the_same_place_may_have_another_order_of_axes(tmp_path: Path, order: str) -> None:
    pancreas.write(tmp_path, 1, 0)
    path = tmp_path / "labelsTr" / "pancreas_001.nii.gz"
    wanted = cases_of("nifti", tmp_path, quiet)[0].read(MSD).labels
    image = nibabel.load(path)
    turn = ornt_transform(io_orientation(image.affine), axcodes2ornt(tuple(order)))
    nibabel.save(image.as_reoriented(turn), path)
    assert nibabel.load(path).shape != image.shape or order == "LPS"
    np.testing.assert_array_equal(cases_of("nifti", tmp_path, quiet)[0].read(MSD).labels, wanted)


def test_a_volume_of_two_files_is_read_as_one_file_is(tmp_path: Path) -> None:
    pancreas.write(tmp_path, 1, 0)
    wanted = cases_of("nifti", tmp_path, quiet)[0].read(MSD)
    for part in ("imagesTr", "labelsTr"):
        path = tmp_path / part / "pancreas_001.nii.gz"
        image = nibabel.load(path)
        nibabel.save(nibabel.Nifti1Pair(np.asarray(image.dataobj), image.affine), path.with_name("pancreas_001.img"))
        path.unlink()
    found = cases_of("nifti", tmp_path, quiet)[0].read(MSD)
    np.testing.assert_array_equal(found.image, wanted.image)
    np.testing.assert_array_equal(found.labels, wanted.labels)


def test_a_stray_or_fractional_label_names_its_file(tmp_path: Path) -> None:
    brain_tumour.write(tmp_path, 1, 0)
    case = cases_of("brats", tmp_path, quiet)[0]
    with pytest.raises(DataError, match=r"_seg\.nii\.gz contains the value 4"):
        case.read(MSD)
    path = tmp_path / case.name / f"{case.name}_seg.nii.gz"
    image = nibabel.load(path)
    nibabel.save(nibabel.Nifti1Image(np.full(image.shape, 0.5, np.float32), image.affine), path)
    with pytest.raises(DataError, match="fractional"):
        case.read(BRATS)


def test_sparse_labels_know_what_nobody_annotated(data: dict[str, Path]) -> None:
    case = cases_of("sparse", data["sparse"], quiet)[0]
    example = case.read(TUBULES)
    _, labels = sparse_volume.case(np.random.default_rng(0))
    assert example.known is not None
    assert 0.2 < example.known.mean() < 0.6
    np.testing.assert_array_equal(example.labels[example.known], labels[example.known])
    assert set(case.values()) == {0, 1, 2}


def test_another_value_can_mean_unknown(tmp_path: Path) -> None:
    for part, volume in (("images", np.arange(8)), ("labels", np.array([0, 1, 9, 9, 0, 1, 0, 1]))):
        (tmp_path / part).mkdir()
        image = nibabel.Nifti1Image(volume.reshape(2, 2, 2).astype(np.uint8), np.eye(4))
        nibabel.save(image, tmp_path / part / "a.nii.gz")
    [case], [same] = (cases_of(reader, tmp_path, quiet) for reader in ("sparse:unknown=9", "sparse:9"))
    assert case == same
    example = case.read(ClassValues.parse("ground=0,thing=1"))
    assert example.known is not None
    assert (~example.known).sum() == 2
    with pytest.raises(DataError, match="contains the value 9"):
        cases_of("sparse", tmp_path, quiet)[0].read(ClassValues.parse("ground=0,thing=1"))
    with pytest.raises(DataError, match="sparse:unknown=255"):
        cases_of("sparse:none", tmp_path, quiet)
    with pytest.raises(
        SegError, match="unknown or repeated option; expected masks, ignore, snap, ring, pixel-size, each once"
    ):
        cases_of("brats:3", tmp_path, quiet)


def test_scores_leave_out_what_nobody_annotated(data: dict[str, Path]) -> None:
    case = cases_of("sparse", data["sparse"], quiet)[0]
    how = contract((20, 20, 20), 4, [c.info for c in TUBULES], stride=2)

    def infer(window: Float) -> Float:
        return np.zeros((1, 3, 4, 4, 4), np.float32)

    _, [scored] = LabelObjective(how, TUBULES).score([case], infer, preview=True)
    known = case.read(TUBULES).known
    assert known is not None
    assert scored.figures.sum() == known.sum()


def slices_stream(case: Case, classes: tuple[ClassValues, ...], balance: float) -> WindowStream:
    intensity = Intensity("window", level=0, width=2000)
    how = contract(36, 20, [c.info for c in classes], stride=2, pixels="float", intensity=intensity)
    return label_stream([case], how, balance=balance, classes=classes)


def test_a_network_of_slices_is_trained_on_slices_of_volumes(data: dict[str, Path]) -> None:
    case = cases_of("nifti", data["nifti"], quiet)[0]
    image, truth, weights = slices_stream(case, MSD, 0.0)[0]
    assert (image.shape, truth.shape, weights.shape) == ((1, 36, 36), (20, 20), (20, 20))
    shares = [np.mean([(slices_stream(case, MSD, b)[k][1].numpy() > 0).mean() for k in range(20)]) for b in (0.0, 1.0)]
    assert shares[1] > 3 * shares[0]


@pytest.mark.parametrize(
    "words", [["--network", "unet3d", "--geometry", "fit"], ["--network", "unet", "--geometry", "stretch"]]
)
def test_volumes_are_never_resized(data: dict[str, Path], tmp_path: Path, words: list[str]) -> None:
    small = [
        "--reader", "nifti", "--width", "1", "--depth", "1", "--input-size", "36", "--steps", "1", "-o", tmp_path / "m.pt",
    ]  # fmt: skip
    told = seg_train(data["nifti"], *small, *words)
    assert told.exit_code == 1
    assert f"--geometry is {words[-1]}, but pancreas_00" in told.stderr
    assert "is a volume; expected tile" in told.stderr


def test_pictures_are_no_volumes(tmp_path: Path) -> None:
    told = seg_train(write_pairs(tmp_path / "data"), "--network", "unet3d", "--width", "1", "-o", tmp_path / "m.pt")
    assert told.exit_code == 1
    assert "a0 is an image, but the network takes volumes" in told.stderr


def test_training_keeps_the_reader_and_shows_the_fullest_slice(data: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "m.pt"
    words = [
        "--recipe", "sparse-volume", "--width", "1", "--depth", "1", "--input-size", "20", "--steps", "1", "--workers", "0",
    ]  # fmt: skip
    ok(seg_train(data["sparse"], *words, "--reader", "sparse:unknown=255", "-o", out))
    assert load(out).reader == "sparse:unknown=255"
    with Image.open(tmp_path / "m.preview.png") as sheet:
        assert sheet.width == 900
    ok(seg_edge("evaluate", out, data["sparse"]))


def test_attention_in_a_volume_is_shown_on_its_fullest_slice(data: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "m.pt"
    small = ["--width", "2", "--depth", "1", "--input-size", "36", "--steps", "1", "--workers", "0"]
    ok(seg_train(data["nifti"], "--recipe", "pancreas", *small, "-o", out))
    ok(seg_edge("evaluate", out, data["nifti"], "--include-training", "--attention", tmp_path / "maps"))
    assert sorted(p.name for p in (tmp_path / "maps").iterdir()) == [f"pancreas_00{n}_gate1.png" for n in (1, 2)]
