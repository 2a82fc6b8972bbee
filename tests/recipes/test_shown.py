"""The gallery page is the one that `make gallery` makes, and whole."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from PIL import Image
from seg_toolkit.options import RECIPES

from samples.gallery import ROOT
from samples.shown import Shown, page, stored, table, write_page

GALLERY = (ROOT / "docs" / "gallery.md").read_text("utf-8")
ROW = Shown("semantic", "unet", 1234567, "108×108 → 68×68", 4e-7, "Dice", True, "nothing", 0.5, 0.875)


def test_the_page_has_a_row_and_a_picture_for_each_recipe() -> None:
    lines = [line for line in GALLERY.splitlines() if line.startswith("| ")][2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == RECIPES.names(), "run `make gallery RECIPE`"
    for line in lines:
        links = re.findall(r'(?:href|src)="([^"]+)"', line)
        assert len(set(links)) == 1
        with Image.open(ROOT / "docs" / links[0]) as picture:
            assert min(picture.size) > 50


def test_the_page_is_made_of_the_figures() -> None:
    assert page(stored(ROOT / "docs" / "gallery")) == GALLERY


def test_a_row_says_which_direction_is_better() -> None:
    assert "| 1,234,567 | 108×108 → 68×68 | 4.0e-07 | Dice ↑ | 0.500 (nothing) | 0.875 |" in table([ROW], "docs")
    less = replace(ROW, metric="RMSE", higher_is_better=False)
    assert "| RMSE ↓ |" in table([less], "docs")
    assert (ROW.gain, less.gain) == (0.375, -0.375)


def test_recipes_that_are_gone_are_left_out(tmp_path: Path) -> None:
    ROW.write(tmp_path / "gallery")
    replace(ROW, recipe="gone").write(tmp_path / "gallery")
    for _ in range(2):
        write_page(tmp_path)
        assert (tmp_path / "gallery.md").read_text("utf-8") == page([ROW])
