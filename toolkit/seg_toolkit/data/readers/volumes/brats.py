"""The layout of BraTS: CASE/CASE_flair.nii.gz, _t1, _t1ce, _t2 and _seg, all on one grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seg_runtime.formats.nifti import SUFFIXES
from seg_runtime.model.input import ChannelFile
from seg_runtime.support.errors import DataError

from .volume import VolumeCase, volumes_in

SCANS = ("flair", "t1", "t1ce", "t2")  # the order of the channels
LAYOUT = f"DATA/CASE/CASE_SCAN.nii.gz with SCAN {', '.join(SCANS)} and seg"


def find_cases(root: Path, report: Callable[[str], None]) -> Sequence[VolumeCase]:
    """Cases of four channels, flair, t1, t1ce, t2.

    Args:
        root: the data set; its folders are the cases, those of an HGG and an LGG folder, too.
        report: told about cases without labels, such as those of the challenge's validation set.

    Raises:
        DataError: no case, or one that lacks a scan.
    """
    found: list[VolumeCase] = []
    bare: list[str] = []
    for folder in _folders(root):
        volumes = volumes_in(folder, SUFFIXES)
        scans = {scan: volumes.get(f"{folder.name}_{scan}") for scan in (*SCANS, "seg")}
        if not any(scans.values()):
            continue
        if missing := [scan for scan in SCANS if scans[scan] is None]:
            raise DataError(f"{folder} lacks {folder.name}_{missing[0]}.nii.gz", LAYOUT, "copy it there")
        if (labels := scans["seg"]) is None:
            bare.append(folder.name)
            continue
        files = tuple(path for scan in SCANS if (path := scans[scan]))
        found.append(VolumeCase(folder.name, files, labels, files=tuple(ChannelFile(f"_{scan}") for scan in SCANS)))
    if bare:
        report(f"{len(bare)} without labels, left out: {', '.join(bare[:5])}{' …' if len(bare) > 5 else ''}")
    if not found:
        raise DataError(f"{root} has no case with labels", LAYOUT, "point to the folder that holds the cases")
    return found


def _folders(root: Path) -> list[Path]:
    """The folders of the cases."""
    if not root.is_dir():
        raise DataError(f"{root} is no folder", LAYOUT, "check the path")
    inside = sorted(p for p in root.iterdir() if p.is_dir())
    graded = [p for p in inside if p.name in ("HGG", "LGG")]
    return sorted(p for folder in graded or [root] for p in folder.iterdir() if p.is_dir())
