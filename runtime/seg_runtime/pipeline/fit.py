"""An image as a model takes it: the channels and the kind of grey values that it was trained on, where nothing is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model import Contract
from ..support import ImageError


def fitted(image: NDArray[Any], contract: Contract, name: str = "image") -> NDArray[Any]:
    """Bring `(*spatial, C)` to what the model was trained on, where nothing is lost by it.

    Raises:
        ImageError: other channels, or floats where the model knows integers (and the other way round), whose unit
            would be a guess; a single picture for a model of volumes.
    """
    wanted = contract.input
    kind = "integer" if image.dtype.kind == "u" else "float"
    if kind != wanted.pixels and wanted.intensity.method != "window":  # a window is in raw grey values
        values = "uint8 or uint16" if wanted.pixels == "integer" else "floats"
        fix = "convert it to the scale of the training images"
        raise ImageError(f"{name} has {image.dtype} grey values", f"{values} as the model was trained", fix)
    if wanted.channel_files and image.shape[-1] != wanted.channels:  # grey for all of them would be a wrong answer
        files = f"{wanted.channels}: {', '.join(f'CASE{file.ending}' for file in wanted.channel_files)}"
        raise ImageError(f"{name} has {image.shape[-1]} channels", files, "pass one array of all, or use seg-run")
    if image.ndim - 1 < contract.geometry.axes:
        raise ImageError(f"{name} is a single picture", "a volume as the model was trained", "name a volume")
    return fit_channels(image, wanted.channels, name)


def fit_channels(image: NDArray[Any], channels: int, name: str = "image") -> NDArray[Any]:
    """Bring `(*spatial, C)` to the channel count of the model where nothing is lost by it.

    An opaque alpha is dropped, grey becomes three equal channels, three equal channels become grey.

    Raises:
        ImageError: any other difference.
    """
    have = image.shape[-1]
    if have == channels:
        return image
    if have in (2, 4) and channels in (1, 3) and image.ndim == 3:  # of a volume they are scans, none is alpha
        if not has_opaque_alpha(image):
            raise ImageError(f"{name} has transparent pixels", "an opaque image", "flatten it on a background first")
        return fit_channels(image[..., :-1], channels, name)
    if have == 1 and channels == 3:
        return np.repeat(image, 3, axis=-1)
    if have == 3 and channels == 1:
        if is_grey(image):
            return image[..., :1]
        raise ImageError(
            f"{name} is in colour (3 channels)",
            "1 grey channel as the model was trained",
            "convert it to grey as the training images were",
        )
    raise ImageError(f"{name} has {have} channels", f"{channels} as the model was trained", "pick or convert channels")


def is_grey(image: NDArray[Any]) -> bool:
    """Whether the first three channels of `(*spatial, 3 or 4)` are the same everywhere."""
    return bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())


def has_opaque_alpha(image: NDArray[Any]) -> bool:
    """Whether a picture `(H, W, C)` has a last channel that is alpha and says nothing."""
    return image.ndim == 3 and image.shape[-1] in (2, 4) and bool((image[..., -1] == _opaque(image.dtype)).all())


def _opaque(dtype: np.dtype[Any]) -> float:
    return float(np.iinfo(dtype).max) if dtype.kind == "u" else 1.0
