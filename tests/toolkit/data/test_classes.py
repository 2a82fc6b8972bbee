from __future__ import annotations

import numpy as np
import pytest
from seg_runtime.model import ClassInfo
from seg_runtime.support import DataError, OptionsError
from seg_toolkit.data import ClassValues, to_labels

from tests.support.folders import TWO


def test_listed_classes() -> None:
    ground, cell = ClassValues.parse("background=0,cell=255#ff8800")
    assert ground.info == ClassInfo("background", (0, 0, 0))
    assert cell.info == ClassInfo("cell", (255, 136, 0))
    assert (ground.values, cell.values) == ((0,), (255,))


def test_several_values_of_one_class() -> None:
    classes = ClassValues.parse("membrane=0+32+64, cell=255")
    mask = np.array([[0, 32], [64, 255]])
    np.testing.assert_array_equal(to_labels(mask, classes, "m"), [[0, 0], [0, 1]])


def test_ranges_of_values() -> None:
    classes = ClassValues.parse("ground=0-127,cell=128-200+255#ff8800,ring=-1")
    assert (len(classes[0].values), classes[1].values[-2:], classes[2].values) == (128, (200, 255), (-1,))
    assert classes[1].info.color == (255, 136, 0)
    with pytest.raises(DataError, match=r"the value 201 .* ground=0-127, cell=128-200\+255, ring=-1"):
        to_labels(np.array([[0, 201]]), classes, "m")


def test_colours_as_values() -> None:
    ground, cell = ClassValues.parse("ground=#008000,cell=#f0f+#ff0000")
    assert (ground.info.color, cell.info.color) == ((0, 128, 0), (255, 0, 255))
    assert cell.values == ((1 << 32) + 0xFF00FF, (1 << 32) + 0xFF0000)
    with pytest.raises(DataError, match=r"the value #0000ff in 1 px; expected ground=#008000, cell=#ff0000\+#ff00ff"):
        to_labels(np.array([[(1 << 32) + 0xFF]]), (ground, cell), "m")


@pytest.mark.parametrize(
    "text", ["a=0-,b=1", "a=9-0,b=10", "a=0-99999999,b=-1", "a=-3--1,b=0", "a=0,b=#12", "a=0-5,b=5", "a=#fff,b=#ffffff"]
)
def test_malformed_ranges_and_colours_are_refused(text: str) -> None:
    with pytest.raises(OptionsError, match="--classes"):
        ClassValues.parse(text)


@pytest.mark.parametrize(
    "text", ["", "a=0", "a", "a=0,b", "a=0,b=x", "a=0,=1", "a=0,b=0", "a=0,a=1", "a=0,b=1#zz", "a=0,b=1+", "a=0+0,b=1"]
)
def test_malformed_classes_are_refused(text: str) -> None:
    with pytest.raises(OptionsError, match="--classes"):
        ClassValues.parse(text)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 255], [0, 255]), ([0], [0, 1]), ([255], [0, 255]), ([0, 1], [0, 1]), ([0, 1, 2, 3], [0, 1, 2, 3])],
)
def test_classes_from_the_values(values: list[int], expected: list[int]) -> None:
    assert [c.values[0] for c in ClassValues.infer(dict.fromkeys(values, "a.png"))] == expected


def test_unknown_values_hold_the_option_to_give() -> None:
    with pytest.raises(DataError, match="--classes background=0,class1=32,class2=191"):
        ClassValues.infer({0: "a.png", 32: "a.png", 191: "b.png"})


def test_a_gap_in_the_indices_names_the_file() -> None:
    with pytest.raises(DataError, match=r"7 in odd\.png"):
        ClassValues.infer({0: "a.png", 1: "a.png", 7: "masks/odd.png"})


def test_stray_value_names_file_and_value() -> None:
    with pytest.raises(DataError, match=r"masks/a1\.png contains the value 7 in 2 px") as caught:
        to_labels(np.array([[0, 7], [7, 255]]), TWO, "masks/a1.png")
    assert "cell=255" in str(caught.value)


def test_labels_are_class_indices() -> None:
    labels = to_labels(np.array([[0, 255]]), TWO, "m")
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[0, 1]]


def test_default_colours_differ() -> None:
    many = ClassValues.infer(dict.fromkeys(range(20), "a.png"))
    assert len({entry.info.color for entry in many}) == 20
