"""DICOM images: reading, grouping, and the SEG that refers to them."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from seg_runtime.formats import FORMATS, ReadOptions
from seg_runtime.formats.dicom.format import Series

from tests.fuzz.target import Seed, Target, in_folder
from tests.support import dicom
from tests.support.contracts import contract
from tests.support.images import noise_image

_OPTIONS = ReadOptions(max_pixels=1 << 18)
_IMAGE = dicom.field(16, 24)


def _sources(path: Path) -> list[Series]:
    format = FORMATS.get("dicom")
    sources, failed = format.sources([path], None)
    format.sources([path], path.parent)  # of a study, where other objects are skipped
    if failed:
        raise failed[0][1]
    return [source for source in sources if isinstance(source, Series)]


def _read(path: Path) -> None:
    format, data = FORMATS.get("dicom"), path.read_bytes()
    for source in _sources(path):
        assert format.note(source) is not None
        assert format.record(source, [])["input"]["files"] == 1
    for page in format.read(data, str(path), _OPTIONS):
        assert page.array.dtype in (np.uint8, np.uint16, np.float32)
        assert page.array.size
        assert page.array.dtype != np.float32 or np.isfinite(page.array).all()


def _write_seg(path: Path) -> None:
    format = FORMATS.get("dicom")
    for source in _sources(path):
        labels = np.stack([page.array[..., 0] > 0 for page in format.read(path.read_bytes(), str(path), _OPTIONS)])
        if not source.stack.no_seg:
            stack = source.stack
            dicom.seg_of(stack, labels.astype(np.uint8), contract(), "0" * 64, "labelmap").written()


def _saved(made: Any, syntax: str = "") -> Seed:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if syntax in ("RLELossless", "JPEGLSLossless", "JPEG2000Lossless"):
            made.compress(__import__("pydicom").uid.__dict__[syntax], generate_instance_uid=False)
        elif syntax:
            made.file_meta.TransferSyntaxUID = __import__("pydicom").uid.__dict__[syntax]
        made.save_as(file, enforce_file_format=True)
    return Seed(file.getvalue())


def _placed(**more: Any) -> Any:
    return dicom.placed(_IMAGE, (1, 2, 3), **more)


def _slices() -> tuple[Mapping[str, Seed], Mapping[str, Seed]]:
    small = noise_image(12, 10)
    return {
        "CT": _saved(_placed()),
        "implicit": _saved(_placed(), "ImplicitVRLittleEndian"),
        "deflated": _saved(_placed(), "DeflatedExplicitVRLittleEndian"),
        "RLE": _saved(_placed(), "RLELossless"),
        "JPEG-LS": _saved(_placed(), "JPEGLSLossless"),
        "JPEG 2000": _saved(dicom.placed(dicom.field(64, 64), (0, 0, 0)), "JPEG2000Lossless"),
        "MONOCHROME1": _saved(_placed(PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=-5)),
    }, {
        "colour": _saved(dicom.dataset(small, dicom.SC)),
        "colour RLE": _saved(dicom.dataset(small, dicom.SC), "RLELossless"),
        "YBR": _saved(dicom.dataset(small, dicom.SC, PhotometricInterpretation="YBR_FULL", PlanarConfiguration=1)),
        "1 bit": _saved(
            dicom.dataset(small[..., 0], dicom.SC, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=bytes(16))
        ),
        "frames": _saved(_frames()),
    }


def _frames() -> Any:
    made = dicom.dataset(np.zeros((12, 10), np.uint8), "1.2.840.10008.5.1.4.1.1.7.2", NumberOfFrames="2")
    made.PixelData = bytes(240)
    return made


TARGETS = {
    "dicom": Target(in_folder(_read, "a.dcm"), lambda: {**_slices()[0], **_slices()[1]}, most_mib=160),
    "dicom-seg": Target(in_folder(_write_seg, "a.dcm"), lambda: _slices()[0], most_mib=160),
}
