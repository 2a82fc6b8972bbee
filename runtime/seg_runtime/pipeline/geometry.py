"""From the image's own size to the size that the network sees, and back.

`tile` changes nothing. `fit` resizes the image, aspect kept, into one output window. `stretch` squeezes it to one
input window and stretches the answer, which belongs to the window's centre, back over all of it: geometrically
misplaced by the margin, kept for models that were trained that way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..model import Contract
from .resample import resize


def framed_shape(shape: tuple[int, ...], contract: Contract) -> tuple[int, ...]:
    """Size in px of an image of `shape` px after `frame`."""
    if contract.geometry.method == "tile":
        return shape
    if contract.geometry.method == "stretch":
        return contract.geometry.input_shape
    factor = min(o / n for o, n in zip(contract.geometry.output_shape, shape, strict=True))
    return tuple(min(o, max(1, round(n * factor))) for o, n in zip(contract.geometry.output_shape, shape, strict=True))


def frame(image: NDArray[Any], contract: Contract) -> NDArray[Any]:
    """Resize `(H, W, C)` to what the network sees: bicubic, antialiased, in Pillow's arithmetic; see `resample.py`."""
    shape = framed_shape(image.shape[:-1], contract)
    return image if shape == image.shape[:-1] else _resize(image, shape)


def frame_labels(labels: NDArray[Any], contract: Contract) -> NDArray[Any]:
    """Resize `(H, W)` labels or instances as `frame` resizes their image: the nearest pixel, values kept."""
    return unframe(labels, framed_shape(labels.shape, contract))


def unframe(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Bring the last axes of labels or probabilities `(..., h, w)` to `shape`: the nearest pixel centre, values kept."""
    for axis, length in zip(range(values.ndim - len(shape), values.ndim), shape, strict=True):
        size = values.shape[axis]
        if size != length:
            values = values.take(_centres(size, length), axis=axis)
    return values


def _centres(size: int, length: int) -> NDArray[np.intp]:
    """floor((i + 1/2) * size / length) in integers, exact in every language."""
    return (2 * np.arange(length, dtype=np.intp) + 1) * size // (2 * length)


def _resize(image: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """`(H, W, C)` to `(*shape, C)`: the rows are resized first, then the columns.

    Each axis in a call of its own, since Pillow's order of the two passes differs from version to version (13.0 begins
    with the columns where they shrink more), and with it the grey values.
    """
    height, width = shape
    if image.dtype == np.uint16:
        return resize(image, (height, width))
    planes = []
    for channel in range(image.shape[-1]):  # 8 bit, or float32 in Pillow's mode F
        plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
        narrow = plane.resize((width, plane.height), Image.Resampling.BICUBIC)
        planes.append(np.asarray(narrow.resize((width, height), Image.Resampling.BICUBIC)))
    return np.stack(planes, axis=-1)
