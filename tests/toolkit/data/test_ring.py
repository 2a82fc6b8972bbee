from __future__ import annotations

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest
from seg_runtime.support.errors import DataError, SegError
from seg_toolkit.data import RING, ClassValues, ring_mask

from tests.support.folders import cases_of, write_pairs
from tests.support.images import put

CLASSES = ClassValues.parse(f"background=0,lesion=255,boundary={RING}")


def test_the_ring_is_as_wide_on_either_side() -> None:
    labels = np.array([[0, 0, 0, 0, 1, 1, 1, 1]], np.uint8)
    assert ring_mask(labels, 1).tolist() == [[False, False, False, True, True, False, False, False]]
    assert ring_mask(labels, 3).tolist() == [[False, True, True, True, True, True, True, False]]


def test_one_class_alone_has_no_edge() -> None:
    assert not ring_mask(np.ones((4, 5), np.uint8), 3).any()


def test_a_volume_has_a_shell() -> None:
    labels = np.zeros((5, 5, 5), np.uint8)
    labels[2, 2, 2] = 1
    assert ring_mask(labels, 1).sum() == 7  # the voxel and its six neighbours


def test_pixels_of_the_ring_are_the_class_of_its_value(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.png", np.zeros((1, 8), np.uint8))
    put(tmp_path / "masks" / "a.png", np.array([[0, 0, 0, 0, 255, 255, 255, 255]], np.uint8))
    case = cases_of("pairs:ring=2", tmp_path, print)[0]
    assert case.read(CLASSES).labels.tolist() == [[0, 0, 2, 2, 2, 2, 1, 1]]
    assert set(case.values()) == {RING, 0, 255}
    assert pickle.loads(pickle.dumps(case)) == case


def test_classes_without_the_ring_say_how_to_name_it(tmp_path: Path) -> None:
    case = cases_of("pairs:ring=2", write_pairs(tmp_path), print)[0]
    with pytest.raises(DataError, match="boundary=-1"):
        case.read(CLASSES[:2])


@pytest.mark.parametrize("width", ["0", "", "x", "-3", "1.5", "9999"])
def test_odd_widths_are_refused(tmp_path: Path, width: str) -> None:
    with pytest.raises(SegError, match="ring="):
        cases_of(f"pairs:ring={width}", write_pairs(tmp_path), print)


def test_values_have_no_edges_for_a_ring(tmp_path: Path) -> None:
    for part in ("images", "targets"):
        put(tmp_path / part / "a.png", np.zeros((4, 8), np.uint8))
    with pytest.raises(SegError, match=r"targets:ring=3 has a ring, but the ground truth is values; expected masks"):
        cases_of("targets:ring=3", tmp_path)


def test_a_case_without_values_has_the_ring_alone(tmp_path: Path) -> None:
    """A volume of which nothing is annotated."""
    image = nibabel.Nifti1Image(np.full((2, 2, 2), 255, np.uint8), np.eye(4))
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
        nibabel.save(image, tmp_path / part / "a.nii.gz")
    assert cases_of("sparse:ring=3", tmp_path)[0].values() == {RING: "a"}
