"""Facts about a data set, and its division into training and validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seg_runtime.support import DataError
from seg_toolkit.data import Case, DataSet
from seg_toolkit.data.readers import read_data_set
from seg_toolkit.data.readers.pairs import PairCase

from tests.support.folders import write_pairs
from tests.support.images import put


def cases(count: int) -> DataSet:
    return DataSet(tuple(PairCase(f"a{i}", Path(f"{i}.png"), Path(f"m{i}.png")) for i in range(count)))


def names(part: list[Case]) -> list[str]:
    return [c.name for c in part]


def test_split_by_seed_is_repeatable_and_complete() -> None:
    training, validation = cases(10).split(0.2, None, 3)
    assert (len(training), len(validation)) == (8, 2)
    assert sorted(names(training) + names(validation)) == names(list(cases(10).cases))
    assert names(cases(10).split(0.2, None, 3)[1]) == names(validation)


def test_split_does_not_depend_on_the_order_of_the_files() -> None:
    assert set(names(cases(10).split(0.3, None, 1)[1])) == set(
        names(DataSet(cases(10).cases[::-1]).split(0.3, None, 1)[1])
    )


def test_seeds_split_differently() -> None:
    assert len({tuple(names(cases(10).split(0.3, None, seed)[1])) for seed in range(5)}) > 1


@pytest.mark.parametrize("text", ["a1\na3\n", "a1.png\r\n\r\n a3.png \n"])
def test_split_by_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    assert names(cases(5).split(0.2, tmp_path / "list.txt", 0)[1]) == ["a1", "a3"]


def test_split_by_list_knows_names_with_dots(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("field.7\n")
    dotted = DataSet(tuple(PairCase(f"field.{i}", Path("i.png")) for i in (6, 7)))
    assert names(dotted.split(0.2, tmp_path / "list.txt", 0)[1]) == ["field.7"]


def test_mask_values_are_those_of_all_masks(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    put(tmp_path / "masks" / "a2.png", np.full((40, 40), 9, np.uint8))
    assert sorted(read_data_set("pairs", tmp_path, print).mask_values()) == [0, 9, 255]


def test_small_sets_still_have_one_validation_image() -> None:
    assert len(cases(3).split(0.01, None, 0)[1]) == 1


def test_a_part_is_listed_by_name(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a2\na0.png\n")
    part = cases(3).listed(tmp_path / "list.txt")
    assert [case.name for case in part.cases] == ["a0", "a2"]
    (tmp_path / "list.txt").write_text("b7\n")
    with pytest.raises(DataError, match="b7"):
        cases(3).listed(tmp_path / "list.txt")


def test_a_data_set_says_what_it_is(tmp_path: Path) -> None:
    found = read_data_set("pairs:ring=2", write_pairs(tmp_path), print)
    assert (found.truth, found.outputs, found.channel_files, found.voxels) == ("labels", (), (), None)
    assert (found.reader, found.instances_only) == ("pairs:ring=2", False)


def test_the_split_of_another_model_can_be_repeated(tmp_path: Path) -> None:
    (tmp_path / "m.split.json").write_text('{"training": {"0": "d"}, "validation": {"a1": "e", "a2": "f"}}')
    assert [case.name for case in cases(4).listed(tmp_path / "m.split.json").cases] == ["a1", "a2"]
    for wrong in ('{"training": {}}', "{", '{"validation": 7}'):
        (tmp_path / "m.split.json").write_text(wrong)
        with pytest.raises(DataError, match="cannot be read"):
            cases(4).listed(tmp_path / "m.split.json")
