"""Read and write NIfTI volumes as arrays `(D, H, W, C)`. nibabel, the extra `volume`, is imported on first use.

A file may store its voxels in any order; its affine gives their position. Volumes are reoriented for the network to the
order of an axial DICOM series: slices from feet to head, rows from front to back, columns from the patient's right to
left (LPS). Results use the file's own orientation. The values are those after slope and intercept, whatever the stored
type, so they are always float32.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..model import MAX_PIXELS
from ..pipeline import Array, Float
from ..support import ImageError, require_extra
from .format import Format, Output, Page, PageResult, Place, ReadOptions, Source, Write

SUFFIXES = (".nii", ".nii.gz")
WANTED = "a NIfTI volume, .nii or .nii.gz"
AXES = "LPS"  # directions of increasing x, y and z in the patient; nibabel's canonical order is RAS
MOST_CHANNELS = 64
SAME_MM = 1e-2  # affines that differ by less define the same grid, since programs round them differently
_GZIP = b"\x1f\x8b"


class Nifti(Format):
    """NIfTI volumes. The results lie on the grid of the volume."""

    title = "a NIfTI volume"
    suffixes = SUFFIXES
    axes = 3
    deferred = True

    def recognises(self, head: bytes) -> bool:
        """Recognize the size and the magic of the header, compressed or not (nifti1.h, nifti2.h)."""
        if head.startswith(_GZIP):
            with contextlib.suppress(zlib.error):
                head = zlib.decompressobj(wbits=31).decompress(head, 352)
        size = {int.from_bytes(head[:4], order) for order in ("little", "big")}
        first = 348 in size and head[344:347] in (b"n+1", b"ni1")
        return first or (540 in size and head[4:7] in (b"n+2", b"ni2"))

    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        """Yield one volume `(D, H, W, C)` float32, also for a 2-D model."""
        values, grid = read_volume(data, name, options.max_pixels)
        yield Page(values, name, grid)

    def stored_channels(self, path: Path) -> int | None:
        """Return the number of values per voxel from the header; raises the errors of `read_volume`."""
        try:
            with path.open("rb") as file:
                shape = _opened(file, str(path))[0].shape
        except OSError as error:
            raise ImageError(f"{path} cannot be read ({error.strerror})", WANTED, "check its permissions") from error
        return int(shape[3]) if len(shape) > 3 else 1

    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        """Return the output for labels on the grid of the volume."""
        return {"mask": Output("mask", (".nii.gz",), _prepare_mask)} if data == "labels" else {}


def _prepare_mask(results: Sequence[PageResult], source: Source) -> tuple[str, Write]:
    [result] = results
    grid = result.place
    assert isinstance(grid, NiftiGrid)
    return ".nii.gz", lambda file: grid.write(file, result.answer)


@dataclass(frozen=True, kw_only=True)
class NiftiGrid(Place):
    """The voxel grid of a file: axis order and position.

    Attributes:
        header: header of the file, from nibabel.
        affine: `(4, 4)` from voxel indices of the file to mm.
        shape: `(X, Y, Z)` in the order of the file.
    """

    header: Any
    affine: NDArray[np.float64]
    shape: tuple[int, int, int]

    def ordered(self, stored: Array) -> Array:
        """Convert `(X, Y, Z, …)` in the order of the file to the network's `(D, H, W, …)`; returns a view."""
        turned = _nibabel("orientations").apply_orientation(stored, self._turn(back=False))
        return np.asarray(np.moveaxis(turned, (0, 1, 2), (2, 1, 0)))

    def stored(self, values: Array) -> Array:
        """Convert the network's `(D, H, W)` to `(X, Y, Z)` in the order of the file; returns a view."""
        turned = np.moveaxis(values, (2, 1, 0), (0, 1, 2))
        return np.asarray(_nibabel("orientations").apply_orientation(turned, self._turn(back=True)))

    def same_as(self, other: Place) -> bool:
        """Return whether both grids have the same position."""
        return not isinstance(other, NiftiGrid) or bool(np.abs(self.affine - other.affine).max() <= SAME_MM)

    def write(self, file: BinaryIO, labels: NDArray[np.uint8]) -> None:
        """Write labels `(D, H, W)` as NAME.nii.gz, uint8, on this grid.

        The affine, its codes (qform, sform), the voxel sizes and the units are those of the source. The same labels
        give the same bytes.
        """
        header = self.header.copy()
        header.set_data_dtype(np.uint8)
        header.set_data_shape(self.shape)
        header.set_slope_inter(1, 0)
        header["cal_min"] = header["cal_max"] = 0  # display range of the source
        kind = _nibabel().Nifti2Image if header["sizeof_hdr"] == 540 else _nibabel().Nifti1Image
        image = kind(self.stored(labels), None, header)  # given the affine, nibabel might change its codes
        with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            image.to_stream(packed)

    def _turn(self, back: bool) -> Any:
        tool = _nibabel("orientations")
        ends = [tool.io_orientation(self.affine), tool.axcodes2ornt(AXES)]
        return tool.ornt_transform(*(reversed(ends) if back else ends))


def read_volume(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> tuple[Float, NiftiGrid]:
    """Read the voxels of a NIfTI file in the network's order.

    Args:
        data: content of the file.
        name: name of the file, for errors.
        max_pixels: refuse a file with more voxels in all channels, before it is decompressed.

    Returns:
        `(D, H, W, C)` float32, where a fourth axis of the file becomes channels, and its grid.

    Raises:
        ImageError: the file is not NIfTI, truncated or too large, has complex, colour or non-finite values, or has more
            than four axes.
        SegError: nibabel is not installed.
    """
    image, grid = _opened(io.BytesIO(data), name)
    count = int(np.prod(image.shape, dtype=object))
    if count > max_pixels:
        advice = "crop it, or raise the limit (seg-run --max-pixels)"
        raise ImageError(f"{name} has {count} voxels", f"at most {max_pixels}", advice)
    try:
        stored = np.asarray(image.dataobj.get_unscaled()).reshape(*grid.shape, -1)
    except Exception as error:  # gzip, zlib and nibabel raise many classes
        raise ImageError(f"{name} is damaged ({error})", WANTED, "copy or export it again") from error
    return _values(grid.ordered(stored), image.dataobj.slope, image.dataobj.inter, name), grid


def _nibabel(part: str = "") -> Any:
    require_extra("volume", "nibabel")
    return importlib.import_module(f"nibabel.{part}" if part else "nibabel")


def _opened(file: BinaryIO, name: str) -> tuple[Any, NiftiGrid]:
    """Return nibabel's image, with its voxels still compressed, and its grid."""
    library = _nibabel()
    packed = file.read(len(_GZIP)) == _GZIP
    file.seek(0)
    stream: Any = gzip.GzipFile(fileobj=file) if packed else file
    try:
        head = stream.read(4)
        stream.seek(0)
        size = int.from_bytes(head, "little"), int.from_bytes(head, "big")
        image = (library.Nifti2Image if 540 in size else library.Nifti1Image).from_stream(stream)
        affine = np.asarray(image.affine, np.float64)
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ImageError(f"{name} is not a NIfTI file ({reason})", WANTED, "copy or export it again") from error
    shape, dtype = image.shape, image.header.get_data_dtype()
    if not 1 <= len(shape) <= 4 or min(shape) < 1 or (len(shape) == 4 and shape[3] > MOST_CHANNELS):
        expected = f"three axes, or four with at most {MOST_CHANNELS} channels"
        raise ImageError(f"{name} has {len(shape)} axes, shape {shape}", expected, "extract one volume from it")
    if dtype.kind not in "iuf":
        raise ImageError(f"{name} has values of type {dtype}", "one real number per voxel", "convert it")
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise ImageError(f"{name} has an affine that is not invertible", "", "correct its header")
    x, y, z = (*shape, 1, 1)[:3]
    axes = _nibabel("orientations").io_orientation(affine)[:, 0].astype(int)  # patient axis of each file axis
    sizes = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(axes)]  # along x, y, z of the patient
    spacing = tuple(sizes[::-1].tolist())
    return image, NiftiGrid(spacing_mm=spacing, header=image.header, affine=affine, shape=(x, y, z))


def _values(stored: Array, slope: float, inter: float, name: str) -> Float:
    """Apply slope and intercept to stored values `(D, H, W, C)`, slice by slice, to save the memory of a float64
    copy."""
    values = np.empty(stored.shape, np.float32)
    for place, plane in enumerate(stored):
        exact = plane if (slope, inter) == (1, 0) else plane * np.float64(slope) + np.float64(inter)
        with np.errstate(over="ignore", invalid="ignore"):
            values[place] = exact
        if not np.isfinite(values[place]).all():
            problem = f"{name} contains NaN, infinity or values beyond the range of float32"
            raise ImageError(problem, "finite values", "replace them")
        if exact.dtype.kind in "iu" and exact.dtype.itemsize > 2 and (values[place] != exact).any():
            problem = f"{name} has integers that float32 cannot represent exactly"
            raise ImageError(problem, "integers up to 2**24", "scale it down")
    return values
