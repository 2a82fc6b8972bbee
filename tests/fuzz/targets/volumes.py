"""NIfTI volumes, packed or not, and pairs of files."""

from __future__ import annotations

import gzip
import io
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np
from seg_runtime.formats import FORMATS, ReadOptions, read_bytes
from seg_runtime.formats.nifti import NiftiGrid

from tests.fuzz.target import Seed, Target
from tests.support.images import noise_image
from tests.support.nifti import nifti

_OPTIONS = ReadOptions(axes=3, max_pixels=1 << 18)
_PAIR_HEADER = 352  # bytes of a mutant that go to the header file


def _volume(channels: int = 1) -> np.ndarray:
    return noise_image(3 * 5, 4, channels).reshape(3, 5, 4, channels)


def _read(data: bytes, name: str = "a.nii") -> None:
    """Read a volume and write a mask on its grid."""
    for page in FORMATS.get("nifti").read(data, name, _OPTIONS):
        assert page.array.ndim == 4
        assert page.array.dtype == np.float32
        assert np.isfinite(page.array).all()
        assert isinstance(page.place, NiftiGrid)
        assert page.place.same_as(page.place)
        file = io.BytesIO()
        page.place.write(file, np.zeros(page.array.shape[:3], np.uint8))
        back, grid = next((p.array, p.place) for p in FORMATS.get("nifti").read(file.getvalue(), "b", _OPTIONS))
        assert back.shape[:3] == page.array.shape[:3]
        assert page.place.same_as(grid)


def _read_pair(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        header, voxels = Path(folder) / "a.hdr", Path(folder) / "a.img"
        header.write_bytes(data[:_PAIR_HEADER])
        voxels.write_bytes(data[_PAIR_HEADER:])
        for path in (header, voxels):
            content = read_bytes(path)
            if FORMATS.get("nifti").recognises(content):
                FORMATS.get("nifti").stored_channels(header)
                _read(content, str(path))


def _singles() -> Mapping[str, Seed]:
    types = {kind: nifti(_volume(), dtype=kind).to_bytes() for kind in ("uint8", "int16", "float32", "float64")}
    scaled = nifti(_volume(), "LPI", "int16")
    scaled.header.set_slope_inter(2.0, -1024)
    return {
        **{kind: Seed(data) for kind, data in types.items()},
        "channels": Seed(nifti(_volume(2), "PIR").to_bytes()),
        "NIfTI-2": Seed(nifti(_volume(), "ASL", "int16", nibabel.Nifti2Image).to_bytes()),
        "scaled": Seed(scaled.to_bytes()),
        "packed": Seed(gzip.compress(types["int16"])),
        "packed inside": Seed(types["int16"], gzip.compress),
        "members": Seed(gzip.compress(types["uint8"][:400]) + gzip.compress(types["uint8"][400:])),
    }


def _pairs() -> Mapping[str, Seed]:
    pair = nibabel.Nifti1Pair(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([2, 3, 4, 1]))
    files = pair.make_file_map({"header": io.BytesIO(), "image": io.BytesIO()})
    pair.to_file_map(files)
    head, voxels = (files[kind].fileobj.getvalue() for kind in ("header", "image"))
    assert len(head) in (348, _PAIR_HEADER)
    head = head.ljust(_PAIR_HEADER, b"\0")
    return {
        "pair": Seed(head + voxels),
        "packed": Seed(head + voxels, lambda data: data[:_PAIR_HEADER] + gzip.compress(data[_PAIR_HEADER:])),
    }


TARGETS = {"nifti": Target(_read, _singles), "nifti-pair": Target(_read_pair, _pairs)}
