"""Overlays: the image with its labels in colour and a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..model import ClassInfo, Intensity
from ..pipeline import Array, count_labels
from .marks import number_objects, outline_objects

OPACITY = 0.35
SLICES = 9  # slices of a volume in its overlay


def visible(image: Array, intensity: Intensity | None = None) -> NDArray[np.uint8]:
    """Convert an image `(H, W, C)` of any dtype to `(H, W, 3)` uint8 for display.

    8-bit images keep their values. Others are scaled to the model's `window`, or between their 0.5 and 99.5
    percentiles.
    """
    shown = image[..., :3] if image.shape[-1] >= 3 else np.repeat(image[..., :1], 3, axis=-1)
    if shown.dtype == np.uint8:
        return np.ascontiguousarray(shown)
    low, high = np.percentile(shown[:: max(1, len(shown) // 512)], [0.5, 99.5])
    if intensity and intensity.method == "window":
        low, high = intensity.level - intensity.width / 2, intensity.level + intensity.width / 2
    scaled = (shown.astype(np.float32) - np.float32(low)) * np.float32(255 / max(high - low, 1e-6))
    clipped: NDArray[np.uint8] = np.clip(scaled, 0, 255).astype(np.uint8)
    return clipped


def stretched(image: Array) -> NDArray[np.uint8]:
    """Convert an image `(H, W, C)` as `visible` does, but spread 8-bit grey values too, because many images are dark.

    Colours and uniform images keep their values.
    """
    first = image[..., :1]
    grey = image.shape[-1] < 3 or bool((image[..., :1] == image[..., 1:3]).all())
    return visible(first.astype(np.float32) if grey and first.min() < first.max() else image)


def _outline(labels: Array) -> NDArray[np.bool_]:
    """Return the pixels of `(H, W)` labels or ids whose right or lower neighbour has another one."""
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge


def outlined(picture: NDArray[np.uint8], labels: Array, colors: Sequence[tuple[int, int, int]]) -> NDArray[np.uint8]:
    """Draw the outlines of classes or objects in their colours, one pixel wide, so that the image shows.

    Args:
        picture: `(H, W, 3)` uint8, unchanged.
        labels: class indices uint8 or ids int32 of another size; the background, 0, has no outline.
        colors: colour of each class or id.
    """
    height, width = picture.shape[:2]
    fitted = np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))
    around = np.pad(fitted, 1, mode="edge")
    lowest = np.minimum.reduce([around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]])
    edge = fitted > lowest  # on the side of the higher index, in whose colour it is
    result = picture.copy()
    result[edge] = np.array(colors, np.uint8).reshape(-1, 3)[fitted[edge]]
    return result


def blend(
    picture: NDArray[np.uint8], labels: NDArray[np.uint8], classes: Sequence[ClassInfo], ids: Array | None = None
) -> NDArray[np.uint8]:
    """Draw classes over an image as translucent areas with opaque outlines, or with those of objects. The background is
    unchanged.

    Args:
        picture: `(H, W, 3)` uint8.
        labels: `(H, W)` uint8.
        classes: names and colours.
        ids: `(H, W)` ids of objects, each of which gets an outline, see `marks`; None to outline the classes.
    """
    colors = np.array([c.color for c in classes], np.float32)
    # a table of the blended values per class and channel avoids a float copy of the image
    table = np.rint((1 - OPACITY) * np.arange(256)[None, :, None] + OPACITY * colors[:, None, :]).astype(np.uint8)
    table[0] = np.arange(256)[:, None]
    result = np.stack([table[labels, picture[..., c], c] for c in range(3)], axis=-1)
    if ids is not None:
        outline_objects(result, ids)
        return result
    edge = _outline(labels)
    edge_colors = colors.astype(np.uint8)
    if not edge_colors[0].any():
        edge_colors[0] = (255, 255, 255)  # a black outline is invisible on a dark image
    result[edge] = edge_colors[np.maximum(labels, _right_and_below(labels))[edge]]
    return result


def overlay(
    image: Array, labels: NDArray[np.uint8], classes: Sequence[ClassInfo], intensity: Intensity | None = None,
    ids: Array | None = None, counts: Mapping[int, int] | None = None,
) -> Image.Image:  # fmt: skip
    """Draw an image `(*spatial, C)` with its labels and, below it, a legend with the share of each class.

    For a volume, draw evenly spaced slices. With more than three channels, draw the first one.

    Args:
        image: the image.
        labels: `(*spatial)` class indices.
        classes: names and colours.
        intensity: that of the model; None to show all grey values.
        ids: `(*spatial)` ids of objects to outline, and to number in an image; None to outline the classes.
        counts: number of objects of each class, for the legend.
    """
    parts = [image, labels, *([] if ids is None else [ids])]
    if labels.ndim > 2:
        parts = [_sheet(part) for part in [first_channel(image), *parts[1:]]]
    shown, marked, *apart = parts
    picture = Image.fromarray(blend(visible(shown, intensity), marked, classes, apart[0] if apart else None))
    if ids is not None and ids.ndim == 2:
        number_objects(picture, ids)
    shares = count_labels(labels, len(classes)) / labels.size
    found = {i: f"{count} objects, " if count != 1 else "1 object, " for i, count in (counts or {}).items()}
    texts = [
        f"{c.name}  {found.get(i, '')}{share:.1%}" for i, (c, share) in enumerate(zip(classes, shares, strict=True))
    ]
    return _with_legend(picture, list(zip(classes, texts, strict=True)))


def first_channel(image: Array) -> Array:
    """Return a volume `(…, C)` unchanged if it is grey or RGB, else its first channel, such as the first scan."""
    return image if image.shape[-1] in (1, 3) else image[..., :1]


def fullest_slice(labels: Array) -> int:
    """Return the index of the slice of `(D, H, W)` with the most foreground, the first one if several are equal."""
    return int(np.argmax(np.count_nonzero(labels, axis=(1, 2))))


def _sheet(volume: Array) -> Array:
    """Arrange at most `SLICES` evenly spaced slices of `(D, H, W, …)` row by row; empty cells are black."""
    count = min(SLICES, len(volume))
    chosen = [volume[i] for i in np.linspace(0, len(volume) - 1, count + 2).round().astype(int)[1:-1]]
    wide = -(-count // max(1, round(count**0.5)))
    chosen += [np.zeros_like(chosen[0])] * (-count % wide)
    rows = [np.concatenate(chosen[i : i + wide], axis=1) for i in range(0, len(chosen), wide)]
    return np.concatenate(rows)


def _right_and_below(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    highest = labels.copy()
    highest[:, :-1] = np.maximum(highest[:, :-1], labels[:, 1:])
    highest[:-1] = np.maximum(highest[:-1], labels[1:])
    return highest


def _with_legend(picture: Image.Image, entries: Sequence[tuple[ClassInfo, str]]) -> Image.Image:
    size = max(12, min(28, picture.width // 40))
    font, line = ImageFont.load_default(size), int(size * 1.6)
    texts = [text for _, text in entries]
    widths = [int(font.getlength(t)) + 3 * size for t in texts]
    rows: list[list[int]] = [[]]
    width = max(picture.width, *widths)
    for index in range(len(texts)):
        if rows[-1] and sum(widths[i] for i in rows[-1]) + widths[index] > width:
            rows.append([])
        rows[-1].append(index)
    sheet = Image.new("RGB", (width, picture.height + line * len(rows) + size // 2), (255, 255, 255))
    sheet.paste(picture, (0, 0))
    draw = ImageDraw.Draw(sheet)
    for number, row in enumerate(rows):
        x, y = size // 2, picture.height + size // 2 + number * line
        for index in row:
            draw.rectangle((x, y, x + size, y + size), entries[index][0].color, (90, 90, 90))
            draw.text((x + int(1.4 * size), y + size / 2), texts[index], (30, 30, 30), font, anchor="lm")
            x += widths[index]
    return sheet
