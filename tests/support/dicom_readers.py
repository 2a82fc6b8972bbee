"""Independent readers of a DICOM SEG: dciodvfy of dicom3tools, segimage2itkimage of dcmqi, highdicom."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.tools import missing

# an old validator does not know the SOP class of 2023 and wants segments from 1, which the standard lifted for LABELMAP
_BEFORE_LABELMAP = ("Information Object Not found", "SegmentNumber not monotonically increasing")


def conforms(path: Path, labelmap: bool = False) -> None:
    """dciodvfy finds no error. The last check of a test: without that tool the test ends here."""
    if shutil.which("dciodvfy") is None:
        missing("dciodvfy is not installed (Debian: dicom3tools)")
    told = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False).stderr
    errors = [line for line in told.splitlines() if line.startswith("Error")]
    if labelmap:
        errors = [line for line in errors if not any(known in line for known in _BEFORE_LABELMAP)]
    assert errors == []


def by_highdicom(path: Path, sources: list[Path]) -> NDArray[np.uint8]:
    """Labels `(files, H, W)` that highdicom finds for single-frame sources, 0 where no frame answers."""
    import highdicom
    import pydicom

    seg = highdicom.seg.segread(path)
    uids = [pydicom.dcmread(s, stop_before_pixels=True).SOPInstanceUID for s in sources]
    return np.asarray(
        seg.get_pixels_by_source_instance(uids, combine_segments=True, ignore_spatial_locations=True,
                                          assert_missing_frames_are_empty=True)
    )  # fmt: skip


def by_dcmqi(path: Path, folder: Path) -> dict[int, tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    """For each value the volume `(x, y, z)` that dcmqi writes, and its affine `(4, 4)`, index to mm (LPS)."""
    tool = shutil.which("segimage2itkimage", path=f"{Path(sys.executable).parent}:/usr/bin:/usr/local/bin")
    if tool is None:
        missing("segimage2itkimage is not installed (dcmqi)")
    folder.mkdir(parents=True, exist_ok=True)
    words = [tool, "--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd", "-p", "s"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {int(p.stem.split("-")[1]): read_nrrd(p) for p in sorted(folder.glob("s-*.nrrd"))}


def read_nrrd(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Volume `(x, y, z)` and affine of an NRRD file with attached data (left-posterior-superior)."""
    head, _, data = path.read_bytes().partition(b"\n\n")
    fields = dict(re.findall(r"^([a-z ]+): ?(.*)$", head.decode(), re.M))
    raw = gzip.decompress(data) if fields["encoding"] == "gzip" else data
    assert fields["space"] == "left-posterior-superior"
    sizes = [int(v) for v in fields["sizes"].split()]
    kind = {"unsigned char": "u1", "short": "<i2", "unsigned short": "<u2", "uchar": "u1"}[fields["type"]]
    affine = np.eye(4)
    vectors = re.findall(r"\(([^)]*)\)", fields["space directions"])
    affine[:3, :3] = np.array([[float(v) for v in t.split(",")] for t in vectors]).T
    affine[:3, 3] = [float(v) for v in fields["space origin"].strip("()").split(",")]
    return np.frombuffer(raw, kind).reshape(sizes, order="F"), affine
