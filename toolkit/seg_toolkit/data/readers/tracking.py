"""Reader of the 2-D data sets of the Cell Tracking Challenge, such as PhC-C2DH-U373 and DIC-C2DH-HeLa.

01/t000.tif, t001.tif, …             a sequence
01_GT/SEG/man_seg000.tif             16-bit ids of cells, annotated by hand, 0 for the background; missing for most frames
01_ST/SEG/man_seg000.tif             the same by computer, called silver truth; only in some data sets
"""

from __future__ import annotations

import re
from pathlib import Path

from seg_runtime.support import DataError, SegError, list_files

from .. import DataSet, Report, reads, report_left_out
from .pairs import PairCase

_TRUTHS = ("GT", "ST")
_FRAME, _SEGMENTED = re.compile(r"t(\d{3,})\.tiff?"), re.compile(r"man_seg(\d{3,})\.tiff?")
_LAYOUT = "01/t000.tif with 01_GT/SEG/man_seg000.tif and so on"


def _fits_tracking(root: Path) -> bool:
    """Whether a folder has the segmentation of a sequence."""
    return any(re.fullmatch(r"\d\d_(?:GT|ST)", p.name) and (p / "SEG").is_dir() for p in _inside(root))


@reads(_fits_tracking)
def find_tracking(root: Path, report: Report, truth: str = "GT") -> DataSet:
    """Find the annotated frames of all sequences.

    Args:
        root: folder of one data set, which contains `01`, `01_GT`, `02`, ….
        report: called with a message about sequences without ground truth and ground truth without a frame.
        truth: `GT` for annotations by hand, or `ST` for silver truth.

    Raises:
        SegError: if `truth` is unknown.
        DataError: if there is no sequence or no annotated frame, or the data are volumes.
    """
    if truth not in _TRUTHS:
        raise SegError(f"the reader cell-tracking has truth={truth}", " or ".join(_TRUTHS), "choose one of them")
    sequences = [place for place in _inside(root) if re.fullmatch(r"\d\d", place.name) and place.is_dir()]
    if not sequences:
        raise DataError(f"{root} has no sequence 01", _LAYOUT, "give the folder of one data set")
    cases: list[PairCase] = []
    for sequence in sequences:
        cases += _annotated(sequence, root / f"{sequence.name}_{truth}" / "SEG", report)
    if not cases:
        silver = "use --reader cell-tracking:truth=ST if the data set has silver truth"
        advice = silver if truth == "GT" else "unpack the segmentations"
        raise DataError(f"no frame in {root} has a segmentation in *_{truth}/SEG", _LAYOUT, advice)
    return DataSet(tuple(cases), instances_only=True)


def _inside(root: Path) -> list[Path]:
    return sorted(root.iterdir()) if root.is_dir() else []


def _annotated(sequence: Path, folder: Path, report: Report) -> list[PairCase]:
    frames, masks = _numbered(sequence, _FRAME), _numbered(folder, _SEGMENTED)
    if not frames:
        raise DataError(f"{sequence} has no frames", _LAYOUT, "unpack the frames")
    if slices := sorted(folder.glob("man_seg_*_*.tif")):
        raise DataError(f"{slices[0]} is a slice of a volume", "sequences of images", "choose a 2-D data set")
    if not masks:
        report(f"{sequence.name} has no segmentation in {folder.parent.name}, left out")
    report_left_out(report, (masks[n].name for n in masks.keys() - frames.keys()), f"masks in {folder} without a frame")
    both = sorted(masks.keys() & frames.keys())
    return [PairCase(f"{sequence.name}_{frames[n].stem}", frames[n], None, masks[n]) for n in both]


def _numbered(folder: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    return {int(match[1]): file for file in list_files(folder) if (match := pattern.fullmatch(file.name))}
