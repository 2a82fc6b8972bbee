"""From the image's own size to the size that the network sees, and back.

`tile` changes nothing. `fit` resizes the image, aspect kept, into one output window. `stretch` squeezes it to one
input window and stretches the answer, which belongs to the window's centre, back over all of it: geometrically
misplaced by the margin, kept for models that were trained that way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .contract import Contract
from .preprocess import Array


def framed_shape(shape: tuple[int, ...], contract: Contract) -> tuple[int, ...]:
    """Size in px of an image of `shape` px after `frame`."""
    if contract.geometry == "tile":
        return shape
    if contract.geometry == "stretch":
        return contract.input_shape
    factor = min(o / n for o, n in zip(contract.output_shape, shape, strict=True))
    return tuple(min(o, max(1, round(n * factor))) for o, n in zip(contract.output_shape, shape, strict=True))


def frame(image: Array, contract: Contract) -> Array:
    """Resize `(H, W, C)` to what the network sees: bicubic, antialiased, in Pillow's arithmetic."""
    shape = framed_shape(image.shape[:-1], contract)
    return image if shape == image.shape[:-1] else _resize(image, shape)


def frame_labels(labels: Array, contract: Contract) -> Array:
    """Resize `(H, W)` labels or instances as `frame` resizes their image: the nearest pixel, values kept."""
    return nearest(labels, framed_shape(labels.shape, contract))


def unframe(answer: Array, shape: tuple[int, ...]) -> Array:
    """Bring `(..., h, w)` labels or probabilities back to the image's own `shape`: the nearest pixel, values kept."""
    return nearest(answer, shape)


def nearest(values: Array, shape: tuple[int, ...]) -> Array:
    """Resize the last axes of `values` to `shape` by the nearest pixel centre."""
    for axis, length in zip(range(values.ndim - len(shape), values.ndim), shape, strict=True):
        size = values.shape[axis]
        if size != length:
            values = values.take(_centres(size, length), axis=axis)
    return values


def _centres(size: int, length: int) -> NDArray[np.intp]:
    """floor((i + 1/2) * size / length) in integers, exact in every language."""
    return (2 * np.arange(length, dtype=np.intp) + 1) * size // (2 * length)


def _resize(image: Array, shape: tuple[int, ...]) -> Array:
    height, width = shape
    if image.dtype == np.uint8:
        planes = [Image.fromarray(np.ascontiguousarray(image[..., c])) for c in range(image.shape[-1])]
        done = [np.asarray(p.resize((width, height), Image.Resampling.BICUBIC)) for p in planes]
        return np.stack(done, axis=-1)
    # Pillow resizes 16 bit and float grey values in float32; integers are rounded back to keep their dtype's unit
    planes = [Image.fromarray(np.ascontiguousarray(image[..., c], np.float32)) for c in range(image.shape[-1])]
    result: Array = np.stack([np.asarray(p.resize((width, height), Image.Resampling.BICUBIC)) for p in planes], axis=-1)
    if np.issubdtype(image.dtype, np.integer):
        limits = np.iinfo(image.dtype)
        result = np.clip(np.rint(result), limits.min, limits.max).astype(image.dtype)
    return result
