"""A heat map over an image, with a colour bar."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

RAMP = np.array([(24, 20, 92), (150, 30, 110), (235, 105, 50), (255, 240, 150)], np.float32)  # dark for small values
_OPACITY = 0.6
_SIDE_PX, _BAR_PX, _HEAD_PX = 300, 120, 30  # smaller images are enlarged to about this side
_INK, _PAPER = (40, 40, 40), (255, 255, 255)


def heat_map(picture: NDArray[np.uint8], alpha: NDArray[np.float32], title: str) -> Image.Image:
    """Draw alpha in colours over an image, with a colour bar from its smallest (dark) to its largest value (bright).

    Args:
        picture: `(H, W, 3)` uint8.
        alpha: `(H, W)` float32.
        title: text above the colour bar.
    """
    low, high = float(alpha.min()), float(alpha.max())
    colors = _ramp((alpha - low) / max(high - low, 1e-6))
    grey = picture.mean(axis=-1, keepdims=True)  # colours of the image would mix with those of the map
    shown = Image.fromarray(np.rint((1 - _OPACITY) * grey + _OPACITY * colors).astype(np.uint8))
    factor = max(1, _SIDE_PX // max(shown.size))
    shown = shown.resize((factor * shown.width, factor * shown.height), Image.Resampling.NEAREST)
    font = ImageFont.load_default(13)
    sheet = Image.new("RGB", (max(shown.width, _BAR_PX + 200), shown.height + 2 * _HEAD_PX), _PAPER)
    sheet.paste(shown, (0, 0))
    draw, top = ImageDraw.Draw(sheet), shown.height + 6
    draw.text((6, top), title, _INK, font)
    bar = np.rint(_ramp(np.tile(np.linspace(0, 1, _BAR_PX, dtype=np.float32), (12, 1)))).astype(np.uint8)
    draw.text((6, top + 26), f"{low:.3f}", _INK, font)
    sheet.paste(Image.fromarray(bar), (50, top + 28))
    draw.text((56 + _BAR_PX, top + 26), f"{high:.3f}", _INK, font)
    return sheet


def _ramp(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Map values `(H, W)` in 0..1 to colours `(H, W, 3)`."""
    stops = np.linspace(0, 1, len(RAMP))
    return np.stack([np.interp(shares, stops, RAMP[:, c]) for c in range(3)], axis=-1).astype(np.float32)
