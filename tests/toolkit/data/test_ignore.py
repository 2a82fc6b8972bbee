from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seg_runtime.support import DataError, SegError
from seg_toolkit.checkpoints import load

from tests.support.commands import ok, seg_edge, seg_train
from tests.support.folders import SMALL, write_pairs
from tests.support.images import disc, put
from tests.support.masks import chosen


def write(root: Path, void: object = 255) -> Path:
    """Masks of 0 and 1 whose first row is not annotated."""
    write_pairs(root)
    for path in (root / "masks").iterdir():
        mask = disc() // 255
        mask[0] = void
        put(path, mask)
    return root


def test_ignored_pixels_are_unknown(tmp_path: Path) -> None:
    data, classes, _ = chosen(write(tmp_path), ignore="255")
    example = data.cases[0].read(classes)
    assert example.known is not None
    assert (~example.known).sum() == 40
    assert not example.known[0].any()
    assert (data.reader, [c.values for c in classes]) == ("pairs:ignore=255", [(0,), (1,)])


def test_without_the_option_it_is_proposed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--ignore-value 255"):
        chosen(write(tmp_path))


def test_a_ring_and_ignored_pixels_go_together(tmp_path: Path) -> None:
    data, classes, _ = chosen(write(tmp_path), "ground=0,cell=1,edge=-1", "pairs:ring=2", "255")
    example = data.cases[0].read(classes)
    assert example.known is not None
    assert (~example.known).sum() == 40
    assert set(np.unique(example.labels)) == {0, 1, 2}


def test_a_mask_that_annotates_nothing_is_refused(tmp_path: Path) -> None:
    put(write(tmp_path) / "masks" / "a1.png", np.full((40, 40), 255, np.uint8))
    data, classes, _ = chosen(tmp_path, ignore="255")
    with pytest.raises(DataError, match="a1 annotates no pixel"):
        data.cases[1].read(classes)


@pytest.mark.parametrize("text", ["none", "1.5", "", "9-3"])
def test_what_is_no_value_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SegError, match=r"--ignore-value|unknown or repeated"):
        chosen(write(tmp_path), reader=f"pairs:ignore={text}")


def test_ignored_pixels_have_no_weight_and_no_score(tmp_path: Path) -> None:
    data, out = write(tmp_path / "data"), tmp_path / "m.pt"
    ok(seg_train(data, "-o", out, *SMALL, "--steps", 1, "--ignore-value", 255))
    assert load(out).reader == "pairs:ignore=255"
    scores = ok(seg_edge("evaluate", out, data)).stdout
    for path in (data / "masks").iterdir():
        mask = disc() // 255
        mask[0] = 254
        put(path, mask)
    assert ok(seg_edge("evaluate", out, data, "--ignore-value", 254)).stdout == scores
