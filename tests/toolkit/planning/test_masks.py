"""Masks that mislead are refused with the option that reads them, and that option reads them rightly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from seg_runtime.support import DataError
from seg_toolkit.planning import missing_classes

from tests.support.masks import (
    BLACK,
    INSIDE_PX,
    RED,
    WHITE,
    Mask,
    Write,
    chosen,
    foreground_px,
    several,
    with_palette,
    write_set,
)


def grey(mask: Mask) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * np.uint8(255))


def half(mask: Mask) -> Image.Image:
    return grey(mask).resize((53, 43), Image.Resampling.BICUBIC).resize((80, 64), Image.Resampling.BICUBIC)


def steps(mask: Mask, count: int) -> Image.Image:
    return Image.fromarray((np.asarray(half(mask), np.float64) / 255 * count).round().astype(np.uint8))


SOFT: dict[str, Write] = {
    "antialiased": lambda path, mask, _: half(mask).save(f"{path}.png"),
    "few steps": lambda path, mask, _: steps(mask, 15).save(f"{path}.png"),
    "JPEG": lambda path, mask, _: grey(mask).save(f"{path}.jpg", quality=60),
    "fine JPEG": lambda path, mask, _: grey(mask).convert("RGB").save(f"{path}.jpg", quality=97),
    "one JPEG of four": lambda path, mask, n: grey(mask).save(f"{path}.{'jpg' if n == 2 else 'png'}"),
    "16 bits": lambda path, mask, _: Image.fromarray(np.asarray(half(mask)).astype(np.uint16) * 257).save(
        f"{path}.png"
    ),
}


@pytest.mark.parametrize("name", SOFT)
def test_soft_edges_are_refused_with_thresholds_that_work(tmp_path: Path, name: str) -> None:
    write_set(tmp_path, SOFT[name])
    with pytest.raises(DataError, match="suggest an antialiased, resized or JPEG mask") as caught:
        chosen(tmp_path)
    classes = caught.value.advice.rpartition(" ")[2]
    assert classes.startswith("background=0-")
    assert foreground_px(tmp_path, classes) == pytest.approx(INSIDE_PX, rel=0.1)


def test_soft_edges_are_recognised_with_classes_too(tmp_path: Path) -> None:
    write_set(tmp_path, SOFT["antialiased"])
    with pytest.raises(DataError, match="--classes background=0-127,foreground=128-255"):
        chosen(tmp_path, "background=0,cell=255")


def test_three_soft_levels_give_three_classes(tmp_path: Path) -> None:
    def write(path: Path, mask: Mask, number: int) -> None:
        levels = mask.astype(np.uint8) * 120
        levels[45:60, 10:70] = 240
        Image.fromarray(levels).save(f"{path}.jpg", quality=70)

    write_set(tmp_path, write)
    with pytest.raises(DataError, match=r"background=0-\d+,class1=\d+-\d+,class2=\d+-255"):
        chosen(tmp_path)


HARD: dict[str, Write] = {
    "lines of 1 px": lambda path, mask, _: grey(np.indices(mask.shape)[1] % 17 == 0).save(f"{path}.png"),
    "thin layers": lambda path, mask, _: Image.fromarray((np.indices(mask.shape)[0] // 3).clip(0, 12).astype(np.uint8)).save(
        f"{path}.png"
    ),
    "many classes": lambda path, mask, _: Image.fromarray(np.kron(np.arange(20).reshape(4, 5), np.ones((16, 16))).astype(np.uint8)).save(f"{path}.png"),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_hard_edges_are_no_soft_ones(tmp_path: Path, name: str) -> None:
    assert len(chosen(write_set(tmp_path, HARD[name]), reader="pairs")[1]) > 1


MISLEADING: dict[str, tuple[Write, str]] = {
    "white first": (lambda p, m, _: with_palette(~m, WHITE, BLACK).save(f"{p}.png"), "#ffffff for 0"),
    "white first in GIF": (lambda p, m, _: with_palette(~m, WHITE, BLACK).save(f"{p}.gif"), "#ffffff for 0"),
    "white first in TIFF": (lambda p, m, _: with_palette(~m, WHITE, BLACK).save(f"{p}.tif"), "#ffffff for 0"),
    "grey last": (lambda p, m, _: with_palette(~m, WHITE, (90, 90, 90)).save(f"{p}.bmp"), "#ffffff for 0"),
    "differ": (lambda p, m, n: with_palette(m ^ (n == 2), *([WHITE, BLACK] if n == 2 else [BLACK, WHITE])).save(f"{p}.png"), "palettes of the masks differ"),
    "differ in colour": (lambda p, m, n: with_palette(m ^ (n == 2), *([RED, BLACK] if n == 2 else [BLACK, RED])).save(f"{p}.tif"), "palettes of the masks differ"),
    "colours": (lambda p, m, _: Image.fromarray(np.where(m[..., None], np.uint8([255, 0, 255]), np.uint8([0, 128, 0]))).save(f"{p}.png"), "colour image with 2 colours"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISLEADING)
def test_masks_whose_colours_disagree_are_refused_and_read_by_colour(tmp_path: Path, name: str) -> None:
    write, words = MISLEADING[name]
    write_set(tmp_path, write)
    with pytest.raises(DataError, match=words) as caught:
        chosen(tmp_path)
    classes = caught.value.advice.rpartition(" ")[2]
    assert foreground_px(tmp_path, classes) == INSIDE_PX


PALETTES: dict[str, Write] = {
    "black first": lambda p, m, _: with_palette(m, BLACK, WHITE).save(f"{p}.png"),
    "red on black": lambda p, m, _: with_palette(m, BLACK, RED).save(f"{p}.png"),
    "red on white": lambda p, m, _: with_palette(m, WHITE, RED).save(f"{p}.png"),
    "GIF": lambda p, m, n: grey(m & (n != 1)).save(f"{p}.gif"),  # one of them is empty
    "white is zero": lambda p, m, _: tifffile.imwrite(f"{p}.tif", np.asarray(grey(~m)), photometric="miniswhite"),
}


@pytest.mark.parametrize("name", PALETTES)
def test_palettes_that_agree_with_their_indices_are_read(tmp_path: Path, name: str) -> None:
    assert foreground_px(write_set(tmp_path, PALETTES[name])) == INSIDE_PX


def test_inverted_values_are_said_once(tmp_path: Path) -> None:
    said = chosen(write_set(tmp_path, PALETTES["white is zero"]))[2]
    assert [line for line in said if "stores white" in line] == [
        f"note: {tmp_path / 'masks' / '0.tif'} stores white as zero, so its values are inverted, as in a picture (4 masks)"
    ]


OBJECTS: dict[str, Write] = {
    "another number in each": lambda p, _, n: Image.fromarray(several(n, 4 + n)).save(f"{p}.png"),
    "16 bits": lambda p, _, n: Image.fromarray(several(n, 5).astype(np.uint16)).save(f"{p}.png"),
    "gaps": lambda p, _, n: Image.fromarray(several(n, 5).astype(np.uint16) * 97).save(f"{p}.png"),
    "more than classes": lambda p, _, n: Image.fromarray(np.kron(np.arange(320).reshape(16, 20), np.eye(4)).astype(np.int32)).save(f"{p}.tif"),
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_object_numbers_are_instances(tmp_path: Path, name: str) -> None:
    data, classes, said = chosen(write_set(tmp_path, OBJECTS[name]))
    assert data.instances_only
    assert data.reader == "pairs:masks=instances"
    assert [entry.info.name for entry in classes] == ["background", "foreground"]
    assert any("number objects" in line for line in said)
    example = data.cases[0].read(classes)
    assert example.instances is not None
    assert example.instances.max() >= 4
    assert chosen(tmp_path, reader=data.reader)[0].cases == data.cases  # as evaluate reads it


def test_numbers_that_may_be_objects_or_classes_are_refused(tmp_path: Path) -> None:
    write_set(tmp_path, lambda p, _, n: Image.fromarray(several(n, 3)).save(f"{p}.png"))
    with pytest.raises(DataError, match="pairs:masks=instances") as caught:
        chosen(tmp_path)
    classes = caught.value.advice.rpartition(" ")[2]
    assert len(chosen(tmp_path, classes)[1]) == 4
    assert chosen(tmp_path, reader="pairs:masks=instances")[0].instances_only


def nested(path: Path, mask: Mask, number: int) -> None:
    rings = mask.astype(np.uint8)
    rings[28:33, 25 + 3 * number : 35 + 3 * number] = 2
    Image.fromarray(rings).save(f"{path}.png")


def test_nested_classes_stay_classes_with_a_note(tmp_path: Path) -> None:
    data, classes, said = chosen(write_set(tmp_path, nested))
    assert (data.instances_only, len(classes)) == (False, 3)
    assert any("pairs:masks=instances" in line for line in said)


def test_classes_of_several_regions_stay_classes_without_a_note(tmp_path: Path) -> None:
    classes, said = chosen(
        write_set(tmp_path, lambda p, _, n: Image.fromarray(several(n, 6) % 3).save(f"{p}.png")), reader="pairs"
    )[1:]
    assert (len(classes), said) == (3, [])


@pytest.mark.parametrize(
    ("training", "whole", "words"),
    [
        ([[9, 0, 0]], [[9, 0, 0]], ["contain only ground", "no image contains cell, spot"]),
        ([[9, 4, 0]], [[9, 4, 0], [9, 0, 2]], ["only validation images contain spot"]),
        ([[9, 4, 1]], [[9, 4, 1]], []),
    ],
)
def test_classes_that_training_lacks_are_named(training: Any, whole: Any, words: list[str]) -> None:
    notes = missing_classes(np.array(whole), np.array(training), ["ground", "cell", "spot"])
    assert len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes, strict=True))
