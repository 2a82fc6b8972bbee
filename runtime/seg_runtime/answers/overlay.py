"""What a person looks at: the image with the labels laid over it, and a legend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..model import ClassInfo, Intensity
from ..pipeline import Array, count_labels

OPACITY = 0.35
SLICES = 9  # of a volume on its sheet


def visible(image: Array, intensity: Intensity | None = None) -> NDArray[np.uint8]:
    """`(H, W, C)` of any dtype -> `(H, W, 3)` uint8 for the eye.

    8 bits as they are, others within the `window` that the model sees, or between 0.5 and 99.5 %.
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


def _outline(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour has another label: `(H, W)` -> `(H, W)`."""
    edge = np.zeros(labels.shape, bool)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge


def blend(picture: NDArray[np.uint8], labels: NDArray[np.uint8], classes: Sequence[ClassInfo]) -> NDArray[np.uint8]:
    """Lay classes over a picture: translucent areas with a full-colour outline; the background stays as it is.

    Args:
        picture: `(H, W, 3)` uint8.
        labels: `(H, W)` uint8.
        classes: names and colours.
    """
    colors = np.array([c.color for c in classes], np.float32)
    # integer weights per class and channel: one look-up, no float copy of the picture
    table = np.rint((1 - OPACITY) * np.arange(256)[None, :, None] + OPACITY * colors[:, None, :]).astype(np.uint8)
    table[0] = np.arange(256)[:, None]
    result = np.stack([table[labels, picture[..., c], c] for c in range(3)], axis=-1)
    edge = _outline(labels)
    edge_colors = colors.astype(np.uint8)
    if not edge_colors[0].any():
        edge_colors[0] = (255, 255, 255)  # black cannot be seen on a dark field
    result[edge] = edge_colors[np.maximum(labels, _right_and_below(labels))[edge]]
    return result


def overlay(
    image: Array, labels: NDArray[np.uint8], classes: Sequence[ClassInfo], intensity: Intensity | None = None
) -> Image.Image:
    """The image `(*spatial, C)` with its labels and, below it, a legend with the share of each class.

    Of a volume a sheet of slices, evenly spaced; of more than three channels the first.
    """
    shown, marked = (image, labels) if labels.ndim == 2 else (_sheet(first_channel(image)), _sheet(labels))
    picture = Image.fromarray(blend(visible(shown, intensity), marked, classes))
    shares = count_labels(labels, len(classes)) / labels.size
    return _with_legend(picture, [(c, float(s)) for c, s in zip(classes, shares, strict=True)])


def first_channel(image: Array) -> Array:
    """A volume `(…, C)` for the eye: colours and grey as they are, of other channels, such as scans, the first."""
    return image if image.shape[-1] in (1, 3) else image[..., :1]


def fullest_slice(labels: NDArray[np.uint8]) -> int:
    """Place of the slice of `(D, H, W)` with most foreground, the first of equals."""
    return int(np.argmax(np.count_nonzero(labels, axis=(1, 2))))


def _sheet(volume: Array) -> Array:
    """At most `SLICES` slices of `(D, H, W, …)`, evenly spaced, row by row; empty places are black."""
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


def _with_legend(picture: Image.Image, entries: Sequence[tuple[ClassInfo, float]]) -> Image.Image:
    size = max(12, min(28, picture.width // 40))
    font, line = ImageFont.load_default(size), int(size * 1.6)
    texts = [f"{c.name}  {share:.1%}" for c, share in entries]
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
