"""The README's table of recipes and the gallery page are those that `make gallery` makes, and whole."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from seg_runtime.support.errors import DataError
from seg_toolkit.options import RECIPES

from samples.gallery import ROOT
from samples.shown import BEGIN, END, Shown, page, stored, table, with_table, write_pages

README = (ROOT / "README.md").read_text("utf-8")
ROW = Shown("semantic", "unet", 1234567, "108×108 → 68×68", 4e-7, "Dice", True, "nothing", 0.5, 0.875)


def test_the_readme_has_a_row_and_a_picture_for_each_recipe() -> None:
    made = README.partition(BEGIN)[2].partition(END)[0]
    lines = made.strip().splitlines()[2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == RECIPES.names(), "run `make gallery RECIPE`"
    for line in lines:
        links = re.findall(r'(?:href|src)="([^"]+)"', line)
        assert len(set(links)) == 1
        with Image.open(ROOT / links[0]) as picture:
            assert min(picture.size) > 50


def test_both_pages_are_as_the_figures_say() -> None:
    rows = stored(ROOT / "docs" / "gallery")
    assert with_table(README, table(rows, "docs/gallery")) == README
    assert page(rows) == (ROOT / "docs" / "gallery.md").read_text("utf-8")


def test_a_row_says_which_direction_is_better() -> None:
    assert "| 1,234,567 | 108×108 → 68×68 | 4.0e-07 | Dice ↑ | 0.500 (nothing) | 0.875 |" in table([ROW], "docs")
    less = replace(ROW, metric="RMSE", higher_is_better=False)
    assert "| RMSE ↓ |" in table([less], "docs")
    assert (ROW.gain, less.gain) == (0.375, -0.375)


def test_pages_are_made_of_what_was_kept(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    ROW.write(tmp_path / "docs" / "gallery")
    replace(ROW, recipe="gone").write(tmp_path / "docs" / "gallery")
    for _ in range(2):
        write_pages(tmp_path / "docs", readme)
        text = readme.read_text("utf-8")
        assert text == f"before\n{BEGIN}\n\n{table([ROW], 'docs/gallery')}\n\n{END}\nafter\n"
        assert (tmp_path / "docs" / "gallery.md").read_text("utf-8") == page([ROW])


@pytest.mark.parametrize("text", ["", BEGIN, END + BEGIN, BEGIN + END + BEGIN + END, END + BEGIN + END])
def test_a_page_without_its_marks_stays_as_it_was(text: str, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(text)
    ROW.write(tmp_path / "docs" / "gallery")
    with pytest.raises(DataError, match="marks of the table"):
        write_pages(tmp_path / "docs", readme)
    assert readme.read_text() == text
    assert not (tmp_path / "docs" / "gallery.md").exists()
