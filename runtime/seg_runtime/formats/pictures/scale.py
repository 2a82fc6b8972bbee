"""The size of a pixel, as pictures state it. A resolution that a program made up counts as unknown."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree

from ...support import INCH_MM, millimetres
from ..scale import Scale, scale_of

_INCH_DPI = (
    72, 75, 80, 90, 96, 100, 120, 125, 144, 150, 160, 180, 192, 200, 220, 240, 250, 288, 300, 320, 350, 360, 400, 450, 480,
    500, 600, 640, 720, 800, 900, 1000, 1200, 1440, 1600, 2000, 2400, 2880, 3200, 3600, 4000, 4800, 6400, 9600,
)  # fmt: skip
"""Round numbers of dots per inch, as screens, printers, scanners and exports have. PNG and BMP store them as whole px per
metre, so they are not exact."""
_CM_DPI = (72, 96, 150, 300, 600)
"""Those that programs convert to px per cm. Other round numbers of px per cm, such as 100, are measurements."""
_ROUNDED = 0.003


def of_resolution(x: float, y: float, unit_mm: float | None) -> Scale:
    """Return the scale of a number of px per unit.

    Args:
        x: px per unit along a row.
        y: px per unit along a column.
        unit_mm: mm of the unit; None if the numbers have no unit, so that only their ratio has a meaning.
    """
    if unit_mm is None or not (x > 0 and y > 0):
        return Scale()
    if x == y == 1:
        return Scale(doubt="1 px per unit, as programs write without measuring")
    inch = INCH_MM / unit_mm  # in units
    for dpi in _INCH_DPI if inch == 1 else _CM_DPI:
        if x == round(dpi / inch) or abs(x * inch / dpi - 1) < _ROUNDED:
            return Scale(doubt=f"{dpi} dpi, as programs write without measuring")
    return scale_of(unit_mm / y, unit_mm / x)


def of_tiff(file: Any) -> Scale:
    """Return the scale of a file that tifffile has opened, from the first of its metadata that states one.

    OME-XML, ImageJ, Zeiss LSM and SEM, Aperio and FEI are read, else the tags for the resolution.
    """
    for kind, read in _READERS:
        if getattr(file, f"is_{kind}", False) and (found := read(file)) != Scale():
            return found
    page = file.pages.first if hasattr(file.pages, "first") else file.pages[0]
    x, y = (_ratio(page.tags.valueof(tag)) for tag in (282, 283))
    unit = {2: INCH_MM, 3: 10.0}.get(int(page.tags.valueof(296, 2) or 1))
    return of_resolution(x, y, unit)


def turned_scale(scale: Scale, orientation: int) -> Scale:
    """Return the scale after an image was turned as its tag `Orientation` asks, of which 5 to 8 swap rows and columns."""
    *depth, rows, columns = scale.spacing_mm or (0.0, 0.0)
    return scale._replace(spacing_mm=(*depth, columns, rows)) if scale.spacing_mm and orientation >= 5 else scale


def _of_ome(file: Any) -> Scale:
    try:
        root = ElementTree.fromstring(file.ome_metadata)
    except (ElementTree.ParseError, TypeError, ValueError):
        return Scale()
    found = next((node for node in root.iter() if node.tag.rpartition("}")[2] == "Pixels"), None)
    if found is None:
        return Scale()
    return _of_sides(lambda axis: (found.get(f"PhysicalSize{axis}"), found.get(f"PhysicalSize{axis}Unit", "µm")))


def _of_imagej(file: Any) -> Scale:
    """Read the scale of ImageJ, which states a unit of rows and slices only if it differs from that of columns."""
    facts = file.imagej_metadata or {}
    units = [millimetres(str(facts.get(key, facts.get("unit", "")))) for key in ("zunit", "yunit", "unit")]
    x, y = (_ratio(file.pages[0].tags.valueof(tag)) for tag in (282, 283))
    slices_mm, rows_mm, columns_mm = units
    if rows_mm is None or columns_mm is None or not (x > 0 and y > 0):
        return Scale()
    if columns_mm == INCH_MM:  # also if ImageJ has only passed on the number that another program wrote
        return of_resolution(x, y, columns_mm)
    depth = _number(facts.get("spacing"))
    slices = [abs(depth) * slices_mm] if depth and slices_mm else []
    return scale_of(*slices, rows_mm / y, columns_mm / x)


def _of_lsm(file: Any) -> Scale:
    facts = file.lsm_metadata or {}
    return _of_sides(lambda axis: (facts.get(f"VoxelSize{axis}"), "m"))


def _of_svs(file: Any) -> Scale:
    found = re.search(r"MPP\s*=\s*([\d.]+)", str(file.pages[0].description))
    return scale_of(*(float(found[1]) * 1e-3,) * 2) if found else Scale()


def _of_fei(file: Any) -> Scale:
    facts = (file.fei_metadata or {}).get("Scan", {})
    sides = {"X": "PixelWidth", "Y": "PixelHeight"}
    return _of_sides(lambda axis: (facts.get(sides.get(axis, "")), "m"))


def _of_sem(file: Any) -> Scale:
    """Read the scale of a Zeiss electron microscope: name, number and unit."""
    stated = (file.sem_metadata or {}).get("ap_image_pixel_size", ("", 0, ""))
    number, unit_mm = _number(stated[1]), millimetres(str(stated[2])) if len(stated) > 2 else None
    return scale_of(*(number * unit_mm,) * 2) if number and unit_mm else Scale()


_READERS: tuple[tuple[str, Callable[[Any], Scale]], ...] = (
    ("ome", _of_ome), ("imagej", _of_imagej), ("lsm", _of_lsm), ("svs", _of_svs), ("fei", _of_fei),
    ("sem", _of_sem),
)  # fmt: skip


def _of_sides(side: Callable[[str], tuple[Any, str]]) -> Scale:
    """Return the scale from what a file states of the axes Z, Y and X: a number and its unit."""
    sides: list[float | None] = []
    for axis in "ZYX":
        value, unit = side(axis)
        number, unit_mm = _number(value), millimetres(unit)
        sides.append(number * unit_mm if number and unit_mm else None)
    known: Sequence[float] = [side for side in sides if side is not None]
    if sides[1] is None or sides[2] is None:
        return Scale()
    return scale_of(*known)


def _number(value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return 0.0
    return found if math.isfinite(found) else 0.0


def _ratio(value: Any) -> float:
    """Return a rational number of TIFF; 0 if it is missing or divides by 0."""
    try:
        above, below = value
    except (TypeError, ValueError):
        return 0.0
    return _number(above) / _number(below) if _number(below) else 0.0
