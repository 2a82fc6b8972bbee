"""Convert an image to the channels and the type of grey values that a model was trained on, if this is lossless."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model import Contract
from ..support import ImageError


def fitted(image: NDArray[Any], contract: Contract, name: str = "image", *, any_kind: bool = False) -> NDArray[Any]:
    """Convert an image `(*spatial, C)` to the form that the model was trained on, if this is lossless.

    Args:
        image: the image.
        contract: contract of the model.
        name: name of the image, for errors.
        any_kind: permit floats for a model trained on integers, and vice versa.

    Raises:
        ImageError: the channels differ; the image has floats and the model was trained on integers, or vice versa, so
            that the scale is unknown; or the image is 2-D and the model takes volumes.
    """
    wanted = contract.input
    kind = "integer" if image.dtype.kind == "u" else "float"
    raw = wanted.intensity.method == "window"  # it uses raw grey values
    if kind != wanted.pixels and not (raw or any_kind):
        values = "uint8 or uint16" if wanted.pixels == "integer" else "floats"
        advice = "convert it to the scale of the training images, or pass --accept-foreign"
        raise ImageError(f"{name} has {image.dtype} grey values", f"{values}, like the training images", advice)
    if (
        wanted.channel_files and image.shape[-1] != wanted.channels
    ):  # copying a grey image to all channels would be wrong
        files = f"{wanted.channels} ({', '.join(f'CASE{file.ending}' for file in wanted.channel_files)})"
        advice = "pass one array with all channels, or use seg-run"
        raise ImageError(f"{name} has {image.shape[-1]} channels", files, advice)
    if image.ndim - 1 < contract.geometry.axes:
        raise ImageError(f"{name} is a single image", "a volume, like the training data", "pass a volume")
    return fit_channels(image, wanted.channels, name)


def fit_channels(image: NDArray[Any], channels: int, name: str = "image") -> NDArray[Any]:
    """Convert an image `(*spatial, C)` to the number of channels of the model, if this is lossless.

    Grey becomes three equal channels, and three equal channels become grey. Readers of files have removed alpha channels
    that are opaque.

    Raises:
        ImageError: any other difference.
    """
    have = image.shape[-1]
    if have == channels:
        return image
    if have == 1 and channels == 3:
        return np.repeat(image, 3, axis=-1)
    if have == 3 and channels == 1:
        if is_grey(image):
            return image[..., :1]
        raise ImageError(
            f"{name} is in colour (3 channels)",
            "1 grey channel, like the training images",
            "convert it to grey in the same way as the training images",
        )
    expected = f"{channels}, like the training images"
    advice = "select or convert channels"
    if have in (2, 4) and image.ndim == 3:
        advice += ", or flatten transparent pixels onto a background"
    raise ImageError(f"{name} has {have} channels", expected, advice)


def is_grey(image: NDArray[Any]) -> bool:
    """Return whether the first three channels of `(*spatial, 3 or 4)` are equal everywhere."""
    return bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())
