"""How a DICOM image was acquired, for the policy of a model."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import numpy as np

from ...model import Acquisition
from .library import Dataset, discreet
from .planes import orientation_of, right_angled, value_of

_WORD = re.compile(r"[A-Z0-9]{1,16}")  # modalities and units; other text from a file is never shown
_ARBITRARY = ("", "US")  # rescale types of values without a unit


def acquisition_of(dataset: Dataset, name: str, axes: int = 2) -> Acquisition:
    """Return how the first frame of an image was acquired.

    Args:
        dataset: dataset of the file, with or without pixels.
        name: name of the file, for errors.
        axes: 3 if its frames form a volume.

    Raises:
        ImageError: an element cannot be parsed.
    """
    with discreet(name):
        sides = value_of(dataset, 0, "PlaneOrientationSequence", "ImageOrientationPatient")
        return Acquisition(
            modality=_plain(dataset.get("Modality")),
            sop_class=_standard(dataset.get("SOPClassUID")),
            orientation=_orientation(sides) if axes == 2 else "",
            unit=_unit(dataset),
            spacing_mm=_spacing_mm(dataset, axes),
        )


def _standard(uid: Any) -> str:
    """Return a UID of the standard; empty for others, which may contain anything."""
    return str(uid) if uid and uid.name != str(uid) else ""


def _plain(value: object) -> str:
    text = str(value or "").strip().upper()
    return text if _WORD.fullmatch(text) else ""


def _orientation(sides: object) -> str:
    with contextlib.suppress(TypeError, ValueError):
        cosines = np.array([float(v) for v in sides], np.float64)  # type: ignore[attr-defined]
        if cosines.shape == (6,) and np.isfinite(cosines).all() and np.linalg.norm(cosines) > 1:
            return orientation_of(right_angled([cosines]))
    return ""


def _unit(dataset: Dataset) -> str:
    """Return the unit of the values: the rescale type, that of PET, or Hounsfield units for CT with a rescale."""
    group, modality = "PixelValueTransformationSequence", _plain(dataset.get("Modality"))

    def value(word: str) -> Any:
        found = value_of(dataset, 0, group, word)
        return dataset.get(word) if found is None else found

    rescaled = value("RescaleSlope") is not None and value("RescaleIntercept") is not None
    kind = _plain(value("RescaleType"))
    if not rescaled or kind not in _ARBITRARY:  # values without a rescale are not in its unit
        return kind if rescaled else ""
    if modality == "CT":
        return "HU" if kind != "US" else ""
    return _plain(dataset.get("Units")) if modality == "PT" else ""


def _spacing_mm(dataset: Dataset, axes: int) -> tuple[float, ...]:
    """Return the distance between rows and between columns, after that between frames for a volume."""
    group = "PixelMeasuresSequence"
    sides = value_of(dataset, 0, group, "PixelSpacing") or dataset.get("ImagerPixelSpacing")
    found = [sides[0], sides[1]] if sides is not None and len(sides) == 2 else []
    if axes == 3:
        between = value_of(dataset, 0, group, "SpacingBetweenSlices") or value_of(dataset, 0, group, "SliceThickness")
        found = [between, *found] if found and between else []
    values = tuple(float(value) for value in found)
    return values if all(np.isfinite(value) and value > 0 for value in values) else ()
