from __future__ import annotations

import numpy as np
import pytest
from seg_runtime.model import ClassInfo
from seg_toolkit.training.pictures import curves, label_preview, object_preview, ticks, value_preview


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (1.657, 2.084, ["1.7", "1.8", "1.9", "2.0"]),
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.912, 0.934, ["0.915", "0.920", "0.925", "0.930"]),
        (-20.0, 1100.0, ["0", "200", "400", "600", "800", "1,000"]),
        (-3.0, 3.0, ["-3", "-2", "-1", "0", "1", "2", "3"]),
    ],
)
def test_ticks_are_round_numbers_within_the_axis(low: float, high: float, wanted: list[str]) -> None:
    found = ticks(low, high)
    assert [text for _, text in found] == wanted
    assert all(low <= value <= high for value, _ in found)


@pytest.mark.parametrize(
    ("last", "wanted"),
    [
        (1, ["0", "1"]),
        (3, ["0", "1", "2", "3"]),
        (3000, ["0", "500", "1,000", "1,500", "2,000", "2,500", "3,000"]),
        (15000, ["0", "2k", "4k", "6k", "8k", "10k", "12k", "14k"]),
    ],
)
def test_steps_are_whole_numbers(last: int, wanted: list[str]) -> None:
    assert [text for _, text in ticks(0, last, whole=True)] == wanted


@pytest.mark.parametrize("count", [0, 1, 5])
def test_curves_of_few_evaluations_can_be_drawn(count: int) -> None:
    rows = [{"step": 10 * (i + 1), "loss": 2.0 - i / 10, "dice": 0.5} for i in range(count)]
    assert np.asarray(curves(rows)).std() > 0


def test_the_kept_step_is_marked_in_both_curves() -> None:
    rows = [{"step": 10 * i, "loss": 1.0 - i / 10, "dice": dice} for i, dice in enumerate((0.5, 0.9, 0.7), 1)]
    picture = np.asarray(curves(rows)).astype(int)
    green = (picture[..., 1] > picture[..., 0] + 60) & (picture[..., 1] > picture[..., 2] + 20)
    lines = np.flatnonzero(green.sum(axis=0) > 200)  # the kept step is 20 of 30: two thirds of both panels
    assert lines.tolist() == [70 + round(380 * 2 / 3), 480 + 70 + round(380 * 2 / 3)]


@pytest.mark.parametrize("channels", [1, 3])
def test_dim_images_are_bright_in_a_preview(channels: int) -> None:
    image = np.repeat(np.arange(10_000).reshape(100, 100, 1) // 1000, channels, axis=-1).astype(np.uint8)  # 0 to 9
    empty = np.zeros((100, 100), np.uint8)
    labels = np.asarray(label_preview([("a", image, empty, empty, 0.5)], (ClassInfo("background", (0, 0, 0)),)))
    values = np.asarray(value_preview([("a", image, *np.zeros((2, 1, 100, 100), np.float32), np.zeros(1))], ("v",)))
    for sheet in (labels, values):
        tile = sheet[22 : 22 + 296, 2:298]
        assert (tile.min(), tile.max()) == (0, 255)


def test_outlines_leave_the_image_to_be_seen() -> None:
    image = np.full((100, 100, 1), 90, np.uint8)
    truth, found = np.zeros((2, 100, 100), np.uint8)
    truth[20:80, 20:80], found[30:70, 30:70] = 1, 1
    classes = (ClassInfo("background", (0, 0, 0)), ClassInfo("cell", (255, 0, 0)))
    sheet = np.asarray(label_preview([("worst: a", image, truth, found, 0.5)], classes))
    columns = [sheet[22 : 22 + 296, left + 2 : left + 298] for left in (0, 300, 600)]
    assert (columns[0] == 90).all()
    for column, side in zip(columns[1:], (60, 40), strict=True):
        red = (column == (255, 0, 0)).all(axis=-1)
        assert ((column == 90).all(axis=-1) | red).all()
        assert red.sum() == pytest.approx(4 * side * 2.96, rel=0.02)  # one pixel wide at the size of the tile
        assert not red[140:156, 140:156].any()


BLUE, ORANGE, GREY = (86, 180, 233), (213, 94, 0), (150, 150, 150)


def outlines(sheet: np.ndarray, column: int, colour: tuple[int, int, int]) -> np.ndarray:
    """Pixels of a colour in a column of the first row, which is 296 px wide."""
    left = 300 * column + 2
    found = (sheet[22 : 22 + 296, left : left + 296] == colour).all(axis=-1)
    return np.asarray(found)


def test_objects_are_drawn_by_whether_they_match() -> None:
    """Ids of any size: two cells that touch, of which one is found, one is not; and a false one elsewhere."""
    truth, found = np.zeros((2, 100, 100), np.int64)
    truth[10:40, 10:40], truth[10:40, 40:70] = 300, 70_000
    found[10:40, 10:40], found[60:90, 60:90] = 5, 1_000_000
    sheet = np.asarray(object_preview([("a", np.full((100, 100, 1), 90, np.uint8), truth, found, 1 / 3)]))
    for column, colour, place in (
        (1, BLUE, (10, 10)),
        (1, ORANGE, (10, 40)),
        (2, BLUE, (10, 10)),
        (2, ORANGE, (60, 60)),
    ):
        rows, columns = np.nonzero(outlines(sheet, column, colour))
        assert (rows.min() / 2.96, columns.min() / 2.96) == pytest.approx(place, abs=0.7)
        assert (rows.max() / 2.96, columns.max() / 2.96) == pytest.approx([i + 29.7 for i in place], abs=0.7)
    assert not outlines(sheet, 0, BLUE).any()


def test_objects_outside_of_the_annotation_are_neither_right_nor_false() -> None:
    truth, found = np.zeros((2, 100, 100), np.int32)
    found[60:90, 60:90] = 1
    known = np.ones((100, 100), bool)
    known[50:] = False
    case = ("a", np.full((100, 100, 1), 90, np.uint8), truth, found, float("nan"))
    for part, colour in ((known, GREY), (None, ORANGE)):
        sheet = np.asarray(object_preview([case], [part]))
        assert [outlines(sheet, 2, c).any() for c in (BLUE, ORANGE, GREY)] == [
            c == colour for c in (BLUE, ORANGE, GREY)
        ]


def test_objects_of_a_volume_match_as_a_whole() -> None:
    """In the drawn slice, the one with most of the truth, the objects differ; in the whole volume they match."""
    truth = np.zeros((4, 20, 20), np.int32)
    truth[:, 5:15, 5:15] = 1
    found = truth.copy()
    truth[1, 5:15, 5:18] = 1
    found[1, :, :12] = 0
    sheet = np.asarray(object_preview([("v", np.full((4, 20, 20, 1), 90, np.uint8), truth, found, 1.0)]))
    assert outlines(sheet, 1, BLUE).any()
    assert outlines(sheet, 2, BLUE).any()
    assert not outlines(sheet, 1, ORANGE).any()
