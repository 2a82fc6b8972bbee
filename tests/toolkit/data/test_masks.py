from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_runtime.support import DataError
from seg_toolkit.data import load_mask

from tests.support.masks import INSIDE_PX, Mask, foreground_px, write_set


def planes(*levels: tuple[int, int]) -> object:
    """A writer of planes, each with its values outside and inside the disc."""

    def write(path: Path, mask: Mask, number: int) -> None:
        Image.fromarray(
            np.dstack([np.where(mask, inside, outside).astype(np.uint8) for outside, inside in levels])
        ).save(f"{path}.png")

    return write


HIDDEN = {
    "black": [(0, 0)] * 3 + [(0, 255)],
    "white": [(255, 255)] * 3 + [(0, 255)],
    "red": [(255, 255), (0, 0), (0, 0), (0, 255)],
    "against the colours": [(255, 0)] * 3 + [(0, 255)],
    "grey": [(0, 0), (0, 255)],
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_mask_in_the_transparency_is_refused_and_can_be_read(tmp_path: Path, name: str) -> None:
    write_set(tmp_path, planes(*HIDDEN[name]))
    with pytest.raises(DataError, match="pairs:masks=alpha"):
        foreground_px(tmp_path)
    assert foreground_px(tmp_path, reader="pairs:masks=alpha") == INSIDE_PX


def test_transparency_that_agrees_with_the_colours_is_ignored(tmp_path: Path) -> None:
    assert foreground_px(write_set(tmp_path, planes(*[(0, 255)] * 4))) == INSIDE_PX


def test_a_mask_of_many_colours_proposes_no_classes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 9, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"81 colours.*without antialiasing"):
        load_mask(tmp_path / "a.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_of_grey_masks_have_equal_parts(tmp_path: Path, dtype: type) -> None:
    Image.fromarray(np.array([[0, np.iinfo(dtype).max]], dtype)).save(tmp_path / "a.png")
    assert load_mask(tmp_path / "a.png", colours=True).values.tolist() == [[(1 << 32), (1 << 32) + 0xFFFFFF]]
