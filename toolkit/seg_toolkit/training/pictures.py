"""Pictures of a training: curves, and validation images with ground truth and prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from seg_runtime.answers import first_channel, fullest_slice, grey, outlined, stretched
from seg_runtime.model import ClassInfo

from ..evaluation import Overlap

_INK, _GRID, _PAPER = (40, 40, 40), (222, 222, 222), (255, 255, 255)
_BLUE, _ORANGE, _KEPT = (0, 114, 178), (213, 94, 0), (0, 138, 100)
_SIDE = 300  # width of a column of a preview in px
_NONE, _MATCHED, _ALONE, _UNKNOWN = range(4)  # what an object is
_STATES = (
    ClassInfo("none", (0, 0, 0)),
    ClassInfo("match", (86, 180, 233)),
    ClassInfo("no match", (213, 94, 0)),
    ClassInfo("ignored", (150, 150, 150)),
)
_OUTPUTS = 4  # number of outputs of a regression in a preview, the first ones
_Row = tuple[str, list[Image.Image]]
"""A caption, and the image, the ground truth and the prediction."""
_Outlines = tuple[NDArray[Any], list[tuple[int, int, int]]]
"""Class indices or ids `(*spatial)`, and the colour of each."""


def curves(rows: Sequence[Mapping[str, float]], score: str = "dice", title: str = "Dice") -> Image.Image:
    """Draw the loss and the validation score over the steps, and mark the step whose weights are kept, the best one.

    Args:
        rows: rows of the log, with `step`, `loss` and the key `score`.
        score: key of the score; higher is better.
        title: name of the score.
    """
    width, height = 480, 340
    sheet = Image.new("RGB", (2 * width, height), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    panels = (("loss", "training loss", _BLUE), (score, f"validation {title}, mean", _ORANGE))
    kept = max(rows, key=lambda row: row[score])["step"] if rows else None
    for place, (key, title, colour) in enumerate(panels):
        points = [(r["step"], r[key]) for r in rows if r.get(key) is not None]
        _panel(draw, font, (place * width, 0, width, height), title, points, colour, kept)
    return sheet


def _panel(
    draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, box: tuple[int, int, int, int],
    title: str, points: Sequence[tuple[float, float]], colour: tuple[int, int, int], kept: float | None,
) -> None:  # fmt: skip
    x0, y0, width, height = box
    left, top, right, bottom = x0 + 70, y0 + 34, x0 + width - 30, y0 + height - 40
    draw.text((left, y0 + 8), title, _INK, font)
    values = [v for _, v in points] or [0.0]
    low, high = min(values), max(values)
    pad = (high - low) * 0.08 or 0.05
    low, high = low - pad, high + pad
    last = max([s for s, _ in points] or [1]) or 1
    for value, text in ticks(low, high):
        y = bottom - (bottom - top) * (value - low) / (high - low)
        draw.line((left, y, right, y), _GRID)
        draw.text((left - 8, y), text, _INK, font, anchor="rm")
    for value, text in ticks(0, last, whole=True):
        draw.text((left + (right - left) * value / last, bottom + 8), text, _INK, font, anchor="mt")
    draw.text(((left + right) / 2, bottom + 24), "step", _INK, font, anchor="mt")
    line = [(left + (right - left) * s / last, bottom - (bottom - top) * (v - low) / (high - low)) for s, v in points]
    if len(line) > 1:
        draw.line(line, colour, 2, joint="curve")
    for x, y in line if len(line) < 40 else line[-1:]:
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), colour)
    for (step, value), (x, y) in zip(points, line, strict=True):
        if step == kept:
            draw.line((x, top, x, bottom), _KEPT)
            draw.ellipse((x - 6, y - 6, x + 6, y + 6), None, _KEPT, 2)
            draw.text((right, y0 + 8), f"model kept from step {step:,.0f}: {value:.4g}", _KEPT, font, anchor="ra")


def ticks(low: float, high: float, whole: bool = False) -> list[tuple[float, str]]:
    """Choose round values for an axis, 4 to 9 of them, with their texts.

    Args:
        low: first value of the axis.
        high: last value of the axis, above `low`.
        whole: whether only whole numbers make sense, so that short axes have fewer.
    """
    most = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(most))
    step = power * next(factor for factor in (5, 2, 1) if factor * power <= most * (1 + 1e-9))
    if whole:
        step = max(1.0, step)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [i * step for i in range(first, last + 1)]
    if whole and step >= 1000:
        return [(value, f"{value / 1000:g}k" if value else "0") for value in values]
    return [(value, f"{value:,.{digits}f}") for value in values]


def label_preview(
    cases: Sequence[tuple[str, NDArray[Any], NDArray[np.uint8], NDArray[np.uint8], float]], classes: Sequence[ClassInfo]
) -> Image.Image:
    """Draw a row per case `(name, image, truth, labels, dice)`: the image, and outlines of ground truth and prediction on it.

    For volumes, the slice with the most foreground is shown.
    """
    rows = [
        (f"{name}   mean Dice {dice:.3f}", _row(image, truth, labels, classes))
        for name, image, truth, labels, dice in cases
    ]
    return _sheet(rows, classes)


def object_preview(
    cases: Sequence[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any], float]],
    known: Sequence[NDArray[np.bool_] | None] = (),
) -> Image.Image:
    """Draw a row per case `(name, image, true ids, found ids, AP)`: the image, and outlines of true and found objects on it.

    Objects that match at IoU 0.5 have another colour than true ones that were missed and found ones that are false. For
    volumes, the slice with the most pixels of objects is shown. Objects that are mostly not annotated are grey.

    Args:
        cases: the cases; ids are `(*spatial)` integers.
        known: annotated pixels of each case, `(*spatial)` or None; leave it out if all are annotated.
    """
    rows: list[_Row] = []
    for (name, image, truth, found, score), part in zip(cases, known or [None] * len(cases), strict=True):
        caption = "no objects" if math.isnan(score) else f"AP {score:.3f}"
        rows.append((f"{name}   {caption}", _object_row(image, truth, found, part)))
    return _sheet(rows, _STATES[: _UNKNOWN + any(part is not None for part in known)])


def value_preview(
    cases: Sequence[tuple[str, NDArray[Any], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]],
    outputs: Sequence[str],
) -> Image.Image:
    """Draw a row per output of each case `(name, image, truth, values, psnr)`: image, ground truth and prediction in grey.

    Truth and values `(K, *spatial)` have one scale, from the 0.5 to the 99.5 percentile of the truth. `psnr` is `(K,)` in dB.
    For volumes, the middle slice is shown.
    """
    rows = [
        (f"{name}   {output}   PSNR {psnr[i]:.1f} dB", _value_row(image, truth[i], values[i]))
        for name, image, truth, values, psnr in cases
        for i, output in enumerate(outputs[:_OUTPUTS])
    ]
    return _sheet(rows)


def _sheet(rows: Sequence[_Row], classes: Sequence[ClassInfo] = ()) -> Image.Image:
    head = 22
    sheet = Image.new("RGB", (3 * _SIDE, head + sum(tiles[0].height + head + 8 for _, tiles in rows)), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, title in enumerate(("image", "truth", "model")):
        draw.text((column * _SIDE + 6, 4), title, _INK, font)
    _legend(draw, font, classes)
    top = head
    for caption, tiles in rows:
        for column, tile in enumerate(tiles):
            sheet.paste(tile, (column * _SIDE + 2, top))
        draw.text((6, top + tiles[0].height + 3), caption, _INK, font)
        top += tiles[0].height + head + 8
    return sheet


def _legend(
    draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, classes: Sequence[ClassInfo]
) -> None:
    """Name the colours of outlines, as many as fit beside the last title."""
    x, last = 2.0 * _SIDE + 70, 3 * _SIDE
    for entry in classes[1:]:
        width = 22 + font.getlength(entry.name)
        if x + width > last:
            return
        draw.rectangle((x, 6, x + 10, 16), entry.color, _INK)
        draw.text((x + 15, 4), entry.name, _INK, font)
        x += width + 8


def _row(
    image: NDArray[Any], truth: NDArray[np.uint8], labels: NDArray[np.uint8], classes: Sequence[ClassInfo]
) -> list[Image.Image]:
    colors = [entry.color for entry in classes]
    return _outlines(image, (truth, colors), (labels, colors))


def _object_row(
    image: NDArray[Any], truth: NDArray[Any], found: NDArray[Any], known: NDArray[np.bool_] | None
) -> list[Image.Image]:
    overlap = Overlap.of(truth, found, known)
    rows, columns = overlap.pairs[:, overlap.matches(0.5)]
    true = np.full(len(overlap.true_ids), _ALONE)
    answer = np.where(overlap.counted, _ALONE, _UNKNOWN)
    true[rows], answer[columns] = _MATCHED, _MATCHED
    own = truth if known is None else np.where(known, truth, 0)
    return _outlines(image, _numbered(own, overlap.true_ids, true), _numbered(found, overlap.found_ids, answer))


def _numbered(ids: NDArray[Any], known: NDArray[Any], states: NDArray[np.int64]) -> _Outlines:
    """Number objects from 1 without gaps, so that each has an outline, in the colour of its state."""
    places = np.where(ids > 0, np.searchsorted(known, ids) + 1, 0).astype(np.int32)
    return places, [_STATES[state].color for state in (_NONE, *states)]


def _outlines(image: NDArray[Any], truth: _Outlines, found: _Outlines) -> list[Image.Image]:
    sides = [truth, found]
    if found[0].ndim > 2:  # for volumes, the slice with the most foreground
        place = fullest_slice(truth[0] if truth[0].any() else found[0])
        image, sides = first_channel(image)[place], [(part[place], colors) for part, colors in sides]
    (tile,) = _fitted([stretched(image)])
    return [tile, *(Image.fromarray(outlined(np.asarray(tile), part, colors)) for part, colors in sides)]


def _value_row(image: NDArray[Any], truth: NDArray[np.float32], values: NDArray[np.float32]) -> list[Image.Image]:
    if truth.ndim > 2:
        middle = len(truth) // 2
        image, truth, values = first_channel(image)[middle], truth[middle], values[middle]
    low, high = (float(v) for v in np.percentile(truth, [0.5, 99.5]))
    high = max(high, low + 1e-6)
    return _fitted([stretched(image), grey(truth, low, high), grey(values, low, high)])


def _fitted(pictures: Sequence[NDArray[np.uint8]]) -> list[Image.Image]:
    """Resize pictures of equal size to the width of a column."""
    tiles = [Image.fromarray(p).convert("RGB") for p in pictures]
    factor = (_SIDE - 4) / max(tiles[0].size)
    size = (max(1, round(tiles[0].width * factor)), max(1, round(tiles[0].height * factor)))
    how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BICUBIC  # enlarged images show their pixels
    return [tile.resize(size, how) for tile in tiles]
