"""Value maps: the outputs of a regression in grey, side by side, with their scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..model import OutputInfo

GAP = 4  # px between the maps
INK, PAPER = (30, 30, 30), (255, 255, 255)


def grey(plane: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """Convert values to grey: black at `low` and below, white at `high` and above and for NaN."""
    scaled = (plane - np.float32(low)) * np.float32(255 / (high - low))
    shown: NDArray[np.uint8] = np.clip(np.nan_to_num(scaled, nan=255), 0, 255).astype(np.uint8)
    return shown


def value_map(values: NDArray[np.float32], outputs: Sequence[OutputInfo]) -> Image.Image:
    """Draw values `(K, *spatial)` side by side, each scaled to the range of its training targets.

    For a volume, draw the middle slice.
    """
    planes = values if values.ndim == 3 else values[:, values.shape[1] // 2]
    tiles = [_with_scale(grey(p, o.low, o.high), o) for p, o in zip(planes, outputs, strict=True)]
    columns = math.ceil(math.sqrt(len(tiles)))
    width, height = (max(sizes) + GAP for sizes in zip(*(tile.size for tile in tiles), strict=True))
    sheet = Image.new("RGB", (columns * width - GAP, -(-len(tiles) // columns) * height - GAP), PAPER)
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place % columns * width, place // columns * height))
    return sheet


def _with_scale(plane: NDArray[np.uint8], output: OutputInfo) -> Image.Image:
    """Draw a grey bar with its range below the map."""
    picture = Image.fromarray(plane).convert("RGB")
    size = max(12, min(28, picture.width // 20))
    font = ImageFont.load_default(size)
    low, high = f"{output.low:.4g}", f"{output.high:.4g} {output.unit}".rstrip()
    ends = [font.getlength(text) for text in (low, high)]
    bar = 4 * size
    width = max(picture.width, math.ceil(font.getlength(output.name)) + size, math.ceil(sum(ends)) + bar + 3 * size)
    line = math.ceil(size * 1.5)
    sheet = Image.new("RGB", (width, picture.height + 2 * line + size // 2), PAPER)
    sheet.paste(picture, (0, 0))
    draw = ImageDraw.Draw(sheet)
    first, second = (picture.height + size // 4 + line * (2 * row + 1) / 2 for row in range(2))
    draw.text((size // 2, first), output.name, INK, font, anchor="lm")
    draw.text((size // 2, second), low, INK, font, anchor="lm")
    left, top = math.ceil(size + ends[0]), round(second - size / 2)
    shades = Image.fromarray(np.linspace(0, 255, bar).astype(np.uint8)[None].repeat(size, 0))
    sheet.paste(shades, (left, top))
    draw.rectangle((left, top, left + bar, top + size), None, (90, 90, 90))
    draw.text((left + bar + size // 2, second), high, INK, font, anchor="lm")
    return sheet
