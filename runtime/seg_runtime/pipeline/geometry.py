"""Resize images to the size that the network takes, and results to the size of the image.

`tile` does not resize. `fit` resizes the image to fit one output window and keeps the aspect ratio. `stretch` resizes
the image to one input window and the result, which belongs to the centre of the window, to the whole image. The result
is therefore displaced by up to the margin; `stretch` exists for models that were trained this way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..model import Contract
from .resample import resize


def framed_shape(shape: tuple[int, ...], contract: Contract) -> tuple[int, ...]:
    """Return the size in px of an image of `shape` px after `frame`."""
    if contract.geometry.method == "tile":
        return shape
    if contract.geometry.method == "stretch":
        return contract.geometry.input_shape
    factor = min(o / n for o, n in zip(contract.geometry.output_shape, shape, strict=True))
    return tuple(min(o, max(1, round(n * factor))) for o, n in zip(contract.geometry.output_shape, shape, strict=True))


def frame(image: NDArray[Any], contract: Contract) -> NDArray[Any]:
    """Resize `(H, W, C)` to the network's size: bicubic, antialiased, with Pillow's arithmetic; see `resample.py`."""
    shape = framed_shape(image.shape[:-1], contract)
    return image if shape == image.shape[:-1] else resized(image, shape)


def frame_labels(labels: NDArray[Any], contract: Contract) -> NDArray[Any]:
    """Resize `(H, W)` labels or instances in the same way as `frame`, with nearest-neighbour interpolation."""
    return unframe(labels, framed_shape(labels.shape, contract))


def unframe(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Resize the last axes of labels or probabilities `(..., h, w)` to `shape`, with nearest-neighbour
    interpolation."""
    for axis, length in zip(range(values.ndim - len(shape), values.ndim), shape, strict=True):
        size = values.shape[axis]
        if size != length:
            values = values.take(_centres(size, length), axis=axis)
    return values


def _centres(size: int, length: int) -> NDArray[np.intp]:
    """Return floor((i + 1/2) * size / length), with integer arithmetic, so that it is exact in every language."""
    return (2 * np.arange(length, dtype=np.intp) + 1) * size // (2 * length)


def resized(image: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Resize `(*spatial, C)` to `(*shape, C)`, for an image or a volume: first the rows, then the columns, then the slices.

    Each axis takes a separate call, because the order of Pillow's two passes, and with it the grey values, depends on
    its version (13.0 starts with the columns if they shrink more).
    """
    if len(shape) == 3:
        slices = np.stack([resized(plane, shape[1:]) for plane in image])
        if len(slices) == shape[0]:
            return slices
        columns = slices.reshape(len(slices), -1, slices.shape[-1])
        return resized(columns, (shape[0], columns.shape[1])).reshape(*shape, slices.shape[-1])
    height, width = shape
    if image.dtype == np.uint16:
        return resize(image, (height, width))
    planes = []
    for channel in range(image.shape[-1]):  # 8 bit, or float32 in Pillow's mode F
        plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
        narrow = plane.resize((width, plane.height), Image.Resampling.BICUBIC)
        planes.append(np.asarray(narrow.resize((width, height), Image.Resampling.BICUBIC)))
    return np.stack(planes, axis=-1)
