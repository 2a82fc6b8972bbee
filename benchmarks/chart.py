"""A bar chart as an image, made with Pillow only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from seg_runtime.support import write_atomic

WIDTH, EDGE, BAR, GAP = 1600, 40, 28, 10  # px
LABELS = 570  # width in px for the names of bars
TEXTS = 350  # width in px for the values to the right of the longest bar
PLAIN = 22  # font size in px; the README shows the image at about half its size
PAPER, INK, FAINT, LINE = "#ffffff", "#1c2430", "#5d6778", "#c3cad5"
OURS, OTHERS, GOAL = (
    "#0072b2",
    "#b4bcc9",
    "#d55e00",
)  # from the palette of Okabe and Ito, which colour-blind readers can distinguish


@dataclass(frozen=True)
class Bar:
    """One bar: its name, length, text at its end, whether it is seg-edge, and the goal marked on it."""

    name: str
    value: float
    text: str
    ours: bool
    goal: float | None = None


@dataclass(frozen=True)
class Panel:
    """Bars on one scale that begins at 0, and a line at the baseline."""

    title: str
    bars: tuple[Bar, ...]
    reference: float | None = None


def draw(title: str, subtitle: str, panels: Sequence[Panel]) -> Image.Image:
    """Draw the chart, 1600 px wide on white. The font of Pillow has no × and no ≤."""
    height = 190 + sum(80 + len(p.bars) * (BAR + GAP) for p in panels)
    image = Image.new("RGB", (WIDTH, height), PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((EDGE, 32), title, INK, _font(36))
    pen.text((EDGE, 82), subtitle, FAINT, _fitting(pen, subtitle))
    _legend(pen, 116)
    top = 168
    for panel in panels:
        top = _panel(pen, panel, top)
    return image


def save(image: Image.Image, target: Path) -> None:
    """Write a PNG atomically."""
    write_atomic(target, lambda file: image.quantize(64, Image.Quantize.MAXCOVERAGE).save(file, "PNG", optimize=True))


def _legend(pen: ImageDraw.ImageDraw, top: int) -> None:
    left, font = EDGE, _font(PLAIN)
    for color, name in ((OURS, "seg-edge"), (OTHERS, "other ways to run the same weights")):
        pen.rectangle((left, top + 4, left + 18, top + 22), color)
        pen.text((left + 28, top), name, INK, font)
        left += int(28 + pen.textlength(name, font) + 36)
    pen.rectangle((left + 6, top + 2, left + 10, top + 24), GOAL)
    pen.text((left + 28, top), "goal", INK, font)
    left += int(28 + pen.textlength("goal", font) + 36)
    pen.text((left, top), "shorter is better", FAINT, font)


def _panel(pen: ImageDraw.ImageDraw, panel: Panel, top: int) -> int:
    """Draw a panel and return the top of the next one."""
    pen.text((EDGE, top), panel.title, INK, _font(26))
    start, font = EDGE + LABELS, _font(PLAIN)
    longest = max(max(b.value, b.goal or 0, panel.reference or 0) for b in panel.bars)
    scale = (WIDTH - EDGE - TEXTS - start) / longest
    y = top + 42
    bottom = y + len(panel.bars) * (BAR + GAP) - GAP
    for value in [0.0] if panel.reference is None else [0.0, panel.reference]:
        x = start + value * scale
        pen.line((x, y - 6, x, bottom + 6), LINE, 2)
    for bar in panel.bars:
        pen.text((start - 14, y + BAR / 2), bar.name, INK, font, anchor="rm")
        end = start + bar.value * scale
        pen.rectangle((start, y, end, y + BAR), OURS if bar.ours else OTHERS)
        text, width = end + 12, pen.textlength(bar.text, font)
        if bar.goal is not None:
            x = start + bar.goal * scale
            pen.rectangle((x - 2, y - 5, x + 2, y + BAR + 5), GOAL)
            if end <= x + 2 < text + width + 12:  # the mark would cross the text
                text = x + 14
        pen.rectangle((text - 6, y, text + width + 6, y + BAR), PAPER)  # the line at 1 would cross the text
        pen.text((text, y + BAR / 2), bar.text, INK, font, anchor="lm")
        y += BAR + GAP
    return y + 38


def _fitting(pen: ImageDraw.ImageDraw, text: str) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Font of a size at which a text fits into the width of the image, unless it would be too small to read."""
    sizes = range(PLAIN, 11, -1)
    return _font(next((n for n in sizes if pen.textlength(text, _font(n)) <= WIDTH - 2 * EDGE), sizes[-1]))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
