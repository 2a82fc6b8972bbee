"""Small pictures of images with the outlines of their masks, for the contact sheet."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from seg_runtime.answers import first_channel, fullest_slice, outlined, stretched

from ..data import ClassValues, Example

_SIDE_PX = 200
_QUALITY = 85  # of JPEG


@dataclass(frozen=True)
class Thumbnail:
    """A small picture: the bytes of a JPEG, and its width and height in px."""

    jpeg: bytes
    size: tuple[int, int]


def thumbnail(example: Example, classes: Sequence[ClassValues]) -> Thumbnail:
    """Draw an image with the outlines of its classes in their colours; of a volume, the slice with the most foreground."""
    image, labels = example.image, example.labels
    if labels.ndim > 2:
        place = fullest_slice(labels) if labels.any() else len(labels) // 2
        image, labels = first_channel(image)[place], labels[place]
    factor = _SIDE_PX / max(labels.shape)
    size = (max(1, round(labels.shape[1] * factor)), max(1, round(labels.shape[0] * factor)))
    how = Image.Resampling.NEAREST if factor > 1 else Image.Resampling.BOX
    picture = np.array(Image.fromarray(stretched(image)).resize(size, how))
    picture = outlined(picture, labels, [entry.info.color for entry in classes])
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return Thumbnail(file.getvalue(), size)
