from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seg_runtime.support import DataError, OptionsError
from seg_toolkit.data import ClassValues
from seg_toolkit.data.readers import read_data_set
from seg_toolkit.planning import MaskSurvey, snap_strays
from seg_toolkit.planning.numbered import numbers_objects

from tests.support.images import put
from tests.support.mistakes import A, B, change, stray, third_class, write_cells

TWO = ClassValues.parse("background=0,cell=255")


def test_stray_values_take_the_nearest_class(tmp_path: Path) -> None:
    change("masks", A, lambda mask: stray(mask * 0, 24, 127, 128, 250))(write_cells(tmp_path))
    case = read_data_set("pairs:snap=24+127+128+250", tmp_path, print).cases[0]
    assert case.read(TWO).labels[0, :7:2].tolist() == [0, 0, 1, 1]
    assert case.values() == {0: str(tmp_path / "masks" / f"{A}.png")}
    with pytest.raises(DataError, match="contains the value 24 in 1 px"):
        read_data_set("pairs", tmp_path, print).cases[0].read(TWO)


def test_snapping_and_ignoring_go_together(tmp_path: Path) -> None:
    change("masks", A, lambda mask: stray(mask, 24, 100))(write_cells(tmp_path))
    example = read_data_set("pairs:ignore=100,snap=24", tmp_path, print).cases[0].read(TWO)
    assert example.known is not None
    assert (~example.known).sum() == 1
    assert example.labels[0, 0] == 0


@pytest.mark.parametrize("reader", ["pairs:snap=many", "targets:snap=24"])
def test_snap_takes_values_of_masks(tmp_path: Path, reader: str) -> None:
    write_cells(tmp_path)
    if reader.startswith("targets"):
        (tmp_path / "masks").rename(tmp_path / "targets")
    with pytest.raises(OptionsError, match="snap="):
        read_data_set(reader, tmp_path, print)


def test_only_rare_values_of_few_masks_are_stray(tmp_path: Path) -> None:
    root = write_cells(tmp_path)
    change("masks", A, lambda mask: stray(mask, 24))(root)
    change("masks", B, third_class)(root)  # 400 pixels of 128
    assert list(MaskSurvey.of(read_data_set("pairs", root, print)).strays()) == [24]
    assert (
        list(MaskSurvey.of(read_data_set("pairs", root, print)).strays(ClassValues.parse("a=0,b=24,c=255+128"))) == []
    )
    change("masks", B, lambda mask: stray(mask, 24))(root)  # in two of six masks
    assert list(MaskSurvey.of(read_data_set("pairs", root, print)).strays()) == []


def test_few_objects_with_numbers_are_no_stray_values(tmp_path: Path) -> None:
    root = write_cells(tmp_path, 3)
    for number in range(3):
        ids = np.zeros((96, 128), np.uint8)
        for value in range(1, 4 + number):
            ids[10 * value : 10 * value + 2, 5:8] = value  # 6 of 12,288 pixels
        put(root / "masks" / f"{read_data_set('pairs', root, print).cases[number].name}.png", ids)
    assert numbers_objects(MaskSurvey.of(read_data_set("pairs", root, print)), print)


def test_other_stray_values_are_snapped_for_a_model(tmp_path: Path) -> None:
    said: list[str] = []
    change("masks", A, lambda mask: stray(mask, 99))(write_cells(tmp_path))
    data = snap_strays(read_data_set("pairs", tmp_path, print), TWO, said.append)
    assert said == ["note: 1 pixel with stray values (99) counts as the nearest class"]
    assert data.reader == "pairs:snap=99"
    assert data.cases[0].read(TWO).labels[0, 0] == 0
