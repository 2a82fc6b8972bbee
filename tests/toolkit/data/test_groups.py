from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seg_runtime.support import DataError, OptionsError
from seg_toolkit.data import Groups, parse_group, proposed_group
from seg_toolkit.data.readers import read_data_set

from tests.support.folders import write_pairs

WELLS = [f"well{well}_t{time:02}" for well in "ABCDE" for time in range(4)]


@pytest.mark.parametrize(
    ("pattern", "names", "parts"),
    [
        ("{source}_t{n}", ["a_t1", "a_t10", "b_t1"], [["a_t1", "a_t10"], ["b_t1"]]),
        ("{source}_*", ["p1_s1_left", "p1_s2", "p2_s1"], [["p1_s1_left", "p1_s2"], ["p2_s1"]]),
        ("slide {source}_x{n}_y{n}", ["slide 7_x0_y1", "slide 7_x1_y0", "slide 8_x0_y0"], [["slide 7_x0_y1", "slide 7_x1_y0"], ["slide 8_x0_y0"]]),
        ("genius_{source}{nn}", ["genius_0800", "genius_0801", "genius_0900"], [["genius_0800", "genius_0801"], ["genius_0900"]]),
        ("{source}/*", ["d1/a", "d1/b", "d2/a"], [["d1/a", "d1/b"], ["d2/a"]]),
        ("{source}.({n})", ["a.(1)", "a.(2)", "axb"], [["a.(1)", "a.(2)"], ["axb"]]),
    ],
)  # fmt: skip
def test_a_pattern_names_the_source(pattern: str, names: list[str], parts: list[list[str]]) -> None:
    assert parse_group(pattern, names).parts(names) == parts


def test_wrong_patterns_say_what_is_right() -> None:
    for pattern in ("_t", "{source}{source}", "{sauce}_t{n}"):
        with pytest.raises(OptionsError, match=r"expected a pattern such as \{source\}_t\{n\}"):
            parse_group(pattern, ["a_t1"])
    with pytest.raises(DataError, match="no image has a name of the form"):
        parse_group("{source}_z{n}", ["a_t1"])


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (WELLS, "{source}_t{n}"),
        ([f"slide{s}_x{x}_y{y}" for s in "ab" for x in range(2) for y in range(2)], "{source}_x{n}_y{n}"),
        ([f"mouse{m}-tile{t}" for m in (1, 2, 3) for t in range(3)], "{source}-tile{n}"),
        ([f"mouse{m}_{t:03}" for m in (1, 2, 3) for t in range(3)], "{source}_{n}"),
        ([f"{n:02}" for n in range(30)], None),
        ([f"img_{n}" for n in range(30)], None),  # one source
        ([f"a{n}" for n in range(5)], None),
        ([f"{breed}_{n}" for breed in ("Abyssinian", "beagle") for n in range(4)], None),  # kinds, not sources
        (["07fb37aafa66", "094afe36759e", "0b0d577159f0", "0d2bf916cc8d"], None),
        (["agate", "amber_t1", "beryl_t2"], None),
    ],
)
def test_names_of_time_points_and_tiles_are_recognised(names: list[str], pattern: str | None) -> None:
    found = proposed_group(names)
    assert (found and found[0]) == pattern
    if found:
        assert parse_group(found[0], names).parts(names) == found[1].parts(names)


@pytest.mark.parametrize(("fraction", "seed"), [(0.2, 0), (0.2, 1), (0.5, 0), (0.05, 3), (0.9, 2)])
def test_groups_stay_whole_and_the_fraction_is_kept_as_well_as_they_allow(fraction: float, seed: int) -> None:
    groups = parse_group("{source}_t{n}", WELLS)
    drawn = groups.drawn(WELLS, fraction, seed)
    assert groups.cut(drawn, set(WELLS) - drawn) == []
    assert len(drawn) == min(16, max(4, 4 * round(5 * fraction)))


def test_without_groups_the_split_is_that_of_single_names() -> None:
    names = [f"n{i}" for i in range(11)]
    for seed in range(5):
        assert len(Groups().drawn(names, 0.2, seed)) == 2
    assert {frozenset(Groups().drawn(names, 0.2, seed)) for seed in range(5)} != {frozenset()}


def test_groups_that_share_a_name_become_one() -> None:
    groups = parse_group("{source}_t{n}", ["a_t1", "a_t2", "b_t1", "b_t2", "c"]).merged([["a_t2", "b_t1"], ["c", "d"]])
    assert groups.parts(["a_t1", "a_t2", "b_t1", "b_t2", "c", "d", "e"]) == [
        ["a_t1", "a_t2", "b_t1", "b_t2"],
        ["c", "d"],
        ["e"],
    ]


def test_one_group_cannot_be_split() -> None:
    with pytest.raises(DataError, match="all 4 images belong to one group"):
        parse_group("{source}_t{n}", WELLS[:4]).drawn(WELLS[:4], 0.2, 0)


def test_a_list_may_part_a_group_and_it_is_known(tmp_path: Path) -> None:
    data = read_data_set("pairs", write_pairs(tmp_path, 4), print)
    groups = Groups({"a0": "x", "a1": "x"})
    (tmp_path / "val.txt").write_text("a0\na3\n")
    training, validation = data.split(0.2, tmp_path / "val.txt", 0, groups)
    assert groups.cut([c.name for c in training], [c.name for c in validation]) == [["a0", "a1"]]


def test_names_in_subfolders_can_be_listed(tmp_path: Path) -> None:
    write_pairs(tmp_path / "s", 3)
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        (tmp_path / "s" / part).rename(tmp_path / part / "d1")
    data = read_data_set("", tmp_path, print)
    (tmp_path / "val.txt").write_text("d1/a0.png\nd1/a1\n")
    assert [case.name for case in data.listed(tmp_path / "val.txt").cases] == ["d1/a0", "d1/a1"]
    assert {case.image().dtype for case in data.cases} == {np.dtype(np.uint8)}


def test_folds_hold_each_name_once_and_no_group_is_cut() -> None:
    names = [f"{source}_t{n}" for source in "abcdef" for n in range(3)] + ["alone"]
    groups = parse_group("{source}_t{n}", names)
    folds = [groups.fold(names, place, 3, seed=0) for place in (1, 2, 3)]
    assert sorted(name for fold in folds for name in fold) == sorted(names)
    assert sorted(map(len, folds)) == [6, 6, 7]
    assert not any(groups.cut(fold, set(names) - fold) for fold in folds)
    assert folds[0] != groups.fold(names, 1, 3, seed=1)


def test_more_folds_than_images_are_refused() -> None:
    with pytest.raises(DataError, match="2 images or groups cannot be divided by --fold 1/3"):
        Groups().fold(["a", "b"], 1, 3, 0)
