from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seg_runtime.support import DataError
from seg_toolkit.data.readers import read_data_set

from tests.support.dicom import field, placed, save
from tests.support.folders import seen, texture, write_discs
from tests.support.images import disc, put


def test_sizes_that_differ_name_the_case(tmp_path: Path) -> None:
    write_discs(tmp_path, texture(200))
    put(tmp_path / "masks" / "0.png", disc(41))
    with pytest.raises(DataError, match="0 has an image of 40×40 px and a mask of 41×41 px"):
        seen(tmp_path)


def test_instances_of_another_size_name_the_case(tmp_path: Path) -> None:
    write_discs(tmp_path, texture(200))
    put(tmp_path / "instances" / "0.png", disc(39))
    with pytest.raises(DataError, match="instances of 39×39"):
        seen(tmp_path)


def test_shares_count_all_pixels(tmp_path: Path) -> None:
    write_discs(tmp_path, texture(200, size=40))
    np.testing.assert_allclose(seen(tmp_path).class_shares[1], (disc(40) > 0).mean())


def test_report_names_sizes_kinds_and_shares(tmp_path: Path) -> None:
    write_discs(tmp_path, texture(200), texture(200), texture(60_000, np.uint16, size=50))
    text = "\n".join(seen(tmp_path).described())
    assert "3 images: 2 × 40×40, 1 × 50×50" in text
    assert "2 × uint8, 1 channel; 1 × uint16, 1 channel" in text
    assert "cell 1" in text  # some per cent


def test_a_part_has_the_statistics_of_its_cases(tmp_path: Path) -> None:
    write_discs(tmp_path, texture(100), texture(200), texture(50))
    whole, data = seen(tmp_path), read_data_set("pairs", tmp_path, print)
    part = whole.part(data.cases[1:])
    assert [case.name for case in part.cases] == ["1", "2"]
    assert part.cases[0] is whole.cases[1]
    assert part.classes == whole.classes


def test_classes_that_most_images_lack_are_scarce(tmp_path: Path) -> None:
    write_discs(tmp_path, *[texture(100)] * 3)
    for name in ("0", "2"):
        put(tmp_path / "masks" / f"{name}.png", disc(40) * 0)
    assert seen(tmp_path).scarce_classes == {1: [1]}


def test_integers_and_floats_do_not_mix(tmp_path: Path) -> None:
    write_discs(tmp_path, texture(100))
    assert seen(tmp_path).pixels == "integer"
    put(tmp_path / "images" / "b.tif", texture(1, np.float32))
    put(tmp_path / "masks" / "b.png", disc(40))
    with pytest.raises(DataError, match="0 has integers, but b has floats"):
        _ = seen(tmp_path).pixels


def test_a_policy_is_learnt_from_what_files_state(tmp_path: Path) -> None:
    for k, spacing in enumerate((0.7, 0.8, 0.9)):
        image = placed(field(40, 40, k), (0, 0, k), spacing=(spacing, spacing), number=k + 1)
        save(image, tmp_path / f"images/{k}.dcm")
        put(tmp_path / "masks" / f"{k}.png", disc(40))
    policy = seen(tmp_path).policy(2)
    assert (policy.modalities, policy.orientations, policy.unit) == (("CT",), ("axial",), "HU")
    assert policy.trained_spacing_mm == ((0.7, 0.9), (0.7, 0.9))
    assert (
        "made for: CT, axial, HU, 0.7 to 0.9 mm; seg-run refuses other images, or warns of them"
        in seen(tmp_path).described()
    )
