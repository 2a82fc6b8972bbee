"""How a DICOM image was acquired, for the policy of a model."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...model import Acquisition
from ..scale import scale_of
from .grid import distance_mm
from .library import Dataset, discreet
from .planes import orientation_of, right_angled, value_of
from .read import frame_count

_WORD = re.compile(r"[A-Z0-9]{1,16}")  # modalities and units; other text from a file is never shown
_MEASURES = "PixelMeasuresSequence"
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
        sides = _sides(dataset)
        scale = scale_of(*_spacing_mm(dataset, sides, axes))
        return Acquisition(
            modality=_plain(dataset.get("Modality")),
            sop_class=_standard(dataset.get("SOPClassUID")),
            orientation="" if sides is None or axes == 3 else orientation_of(sides),
            unit=_unit(dataset),
            spacing_mm=scale.spacing_mm,
            spacing_doubt=scale.doubt,
        )


def _standard(uid: Any) -> str:
    """Return a UID of the standard; empty for others, which may contain anything."""
    return str(uid) if uid and uid.name != str(uid) else ""


def _plain(value: object) -> str:
    text = str(value or "").strip().upper()
    return text if _WORD.fullmatch(text) else ""


def _sides(dataset: Dataset) -> NDArray[np.float64] | None:
    """Return the `(6,)` direction cosines of rows and columns; None if they are unknown."""
    stated = value_of(dataset, 0, "PlaneOrientationSequence", "ImageOrientationPatient")
    with contextlib.suppress(TypeError, ValueError):
        cosines = np.array([float(v) for v in stated], np.float64)
        if cosines.shape == (6,) and np.isfinite(cosines).all() and np.linalg.norm(cosines) > 1:
            return right_angled([cosines])
    return None


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


def _spacing_mm(dataset: Dataset, sides: NDArray[np.float64] | None, axes: int) -> tuple[float, ...]:
    """Return the distance between rows and between columns, for a volume after that between frames if it is known."""
    stated = value_of(dataset, 0, _MEASURES, "PixelSpacing") or dataset.get("ImagerPixelSpacing")
    if stated is None or len(stated) != 2:
        return ()
    between = _between_mm(dataset, sides) if axes == 3 else 0.0
    return (*([between] if between > 0 else []), float(stated[0]), float(stated[1]))


def _between_mm(dataset: Dataset, sides: NDArray[np.float64] | None) -> float:
    """Return the distance between frames by their positions, else as the file states it; 0 if it is unknown, as that
    between frames of one thickness is."""
    group, word = "PlanePositionSequence", "ImagePositionPatient"
    count = len(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    places = [value_of(dataset, index, group, word) for index in range(count)]
    if sides is None or count != frame_count(dataset) or any(place is None or len(place) != 3 for place in places):
        return float(value_of(dataset, 0, _MEASURES, "SpacingBetweenSlices") or 0)
    positions = np.array([[float(v) for v in place] for place in places])
    return distance_mm(positions, sides) if np.isfinite(positions).all() else 0.0
