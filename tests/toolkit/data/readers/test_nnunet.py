from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from seg_runtime.support import DataError
from seg_toolkit.checkpoints import load
from seg_toolkit.data.readers import read_data_set

from tests.support.commands import ok, seg_edge, seg_train
from tests.support.folders import SMALL
from tests.support.images import disc, put
from tests.support.masks import chosen

RINGS = (disc(radius=14) // 255 + disc(radius=9) // 255 + disc(radius=4) // 255).astype(np.uint8)
"""Values 0 to 3, from the outside to the inside."""


def save(path: Path, plane: Any) -> None:
    if path.name.endswith(".nii.gz"):
        path.parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(np.stack([plane] * 3, -1), np.eye(4)), path)
    else:
        put(path, plane)


def write(root: Path, channels: int = 1, suffix: str = ".png", truth: Any = RINGS, **about: Any) -> Path:
    for name in ("c_001", "c_002"):
        for channel in range(channels):
            save(root / "imagesTr" / f"{name}_{channel:04d}{suffix}", RINGS * np.uint8(60 + channel))
        save(root / "labelsTr" / f"{name}{suffix}", truth)
    if about:
        (root / "dataset.json").write_text(json.dumps({"file_ending": suffix, **about}))
    return root


@pytest.mark.parametrize("suffix", [".png", ".tif", ".nii.gz"])
@pytest.mark.parametrize("channels", [1, 2])
def test_images_and_volumes_of_one_file_for_each_channel(tmp_path: Path, suffix: str, channels: int) -> None:
    names = {str(n): f"stain {n}" for n in range(channels)}
    labels = {"background": 0, "rim": 1, "body": 2, "core": 3}
    data, classes, said = chosen(write(tmp_path, channels, suffix, channel_names=names, labels=labels))
    assert said == [f"reader: nnunet (the layout of {tmp_path})"]
    assert [case.name for case in data.cases] == ["c_001", "c_002"]
    assert [(entry.info.name, entry.values) for entry in classes] == [(name, (v,)) for name, v in labels.items()]
    assert [file.ending for file in data.channel_files] == (["_0000", "_0001"] if channels == 2 else [])
    example = data.cases[0].read(classes)
    assert example.image.shape[-1] == channels
    assert (
        np.bincount(example.labels.ravel()).tolist()
        == (np.bincount(RINGS.ravel()) * (3 if "nii" in suffix else 1)).tolist()
    )


def test_regions_become_classes(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "centre": 3}
    _, classes, said = chosen(write(tmp_path, labels=labels, regions_class_order=[1, 2, 3]))
    assert {entry.info.name: entry.values for entry in classes} == {
        "background": (0,),
        "whole": (1,),
        "core": (2,),
        "centre": (3,),
    }
    assert "regions overlap" in said[1]


def test_the_label_ignore_is_not_annotated(tmp_path: Path) -> None:
    data, classes, _ = chosen(write(tmp_path, labels={"background": 0, "rim": 1, "body": 2, "ignore": 3}))
    example = data.cases[0].read(classes)
    assert example.known is not None
    np.testing.assert_array_equal(~example.known, RINGS == 3)


def test_labels_of_the_first_version(tmp_path: Path) -> None:
    about = {"modality": {"0": "CT"}, "labels": {"0": "air", "1": "rim", "2": "body", "3": "core"}}
    classes = chosen(write(tmp_path, suffix=".nii.gz", **about))[1]
    assert [entry.info.name for entry in classes] == ["air", "rim", "body", "core"]


def test_a_mask_of_255_names_the_value_that_was_expected(tmp_path: Path) -> None:
    data, classes, _ = chosen(write(tmp_path, truth=disc(), labels={"background": 0, "cell": 1}))
    with pytest.raises(DataError, match=r"c_001\.png contains the value 255 .*cell=1"):
        data.cases[0].read(classes)


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"channel_names": {"0": "a"}, "labels": {}}, "2 files for each case, but dataset.json lists 1"),
        ({"labels": {"background": 0, "cell": "one"}}, "labels that cannot be read"),
        ({"labels": {"background": 0, "inner": [1], "outer": [1, 2]}}, "region inner, which later regions cover"),
    ],
)
def test_a_dataset_json_that_does_not_fit_is_refused(tmp_path: Path, about: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_data_set("nnunet", write(tmp_path, 2, **about), print)


def test_a_missing_channel_is_named(tmp_path: Path) -> None:
    (write(tmp_path, 2) / "imagesTr" / "c_002_0001.png").unlink()
    with pytest.raises(DataError, match="lacks c_002_0001"):
        read_data_set("nnunet", tmp_path, print)


def test_evaluation_finds_the_layout_again(tmp_path: Path) -> None:
    data = write(tmp_path / "data", 2, labels={"background": 0, "rim": 1, "body": 2, "core": 3})
    (tmp_path / "val.txt").write_text("c_002")  # the images are equal, so none can be drawn
    ok(seg_train(data, "-o", tmp_path / "m.pt", *SMALL, "--steps", 1, "--val-list", tmp_path / "val.txt"))
    assert load(tmp_path / "m.pt").reader == "nnunet"
    assert "over 2 images" in ok(seg_edge("evaluate", tmp_path / "m.pt", data, "--include-training")).stderr
