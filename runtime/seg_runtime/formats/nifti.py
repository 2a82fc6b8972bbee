"""Read and write NIfTI volumes as arrays `(D, H, W, C)`. nibabel, the extra `volume`, is imported on first use.

A file may store its voxels in any order; its affine gives their position. Volumes are reoriented for the network to the
order of an axial DICOM series: slices from feet to head, rows from front to back, columns from the patient's right to
left (LPS). Results use the file's own orientation. The values are those after slope and intercept, whatever the stored
type, so they are always float32.

nibabel interprets the header only. The voxels are unpacked here, since nibabel stops at the last voxel and never sees the
checksum behind it. Header extensions, which may hold a patient's data, are neither read nor copied to the results.
"""

from __future__ import annotations

import gzip
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..model import MAX_PIXELS, Acquisition
from ..pipeline import Array, Float
from ..support import ImageError, open_file, require_extra
from .format import Failures, Format, Output, Page, PageResult, Place, ReadOptions, Source, SourceOptions, Write
from .nifti_pair import HEADER_BYTES, PAIR_SUFFIXES, WANTED, header_of_pair, layout
from .packed import HEAD_PACKED, first_bytes, unpack
from .quiet import quiet, reason_of
from .scale import Scale, scale_of

SUFFIXES = (".nii", ".nii.gz", *PAIR_SUFFIXES)
AXES = "LPS"  # directions of increasing x, y and z in the patient; nibabel's canonical order is RAS
MOST_CHANNELS = 64
FARTHEST_MM = 1e12  # of a voxel from the origin; the square of a larger number may overflow
SAME_MM = 1e-2  # affines that differ by less define the same grid, since programs round them differently
_SAME_PART = 0.1  # of a voxel, which is less than SAME_MM under a microscope
MOST_OFFSET = 64 << 20  # bytes before the voxels; header extensions take up to a few MiB
_UNITS_MM = {1: 1e3, 2: 1.0, 3: 1e-3}  # metre, mm, micron; 0 is an unknown unit, which is mm in practice
_BEHIND = 1 << 20  # bytes behind the voxels, which are ignored


class Nifti(Format):
    """NIfTI volumes. The results lie on the grid of the volume."""

    title = "a NIfTI volume"
    suffixes = SUFFIXES
    axes = 3
    deferred = True

    def recognises(self, head: bytes) -> bool:
        """Recognize the size and the magic of the header, compressed or not."""
        return layout(first_bytes(head, HEADER_BYTES)) is not None

    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        """Yield one volume `(D, H, W, C)` float32, also for a 2-D model."""
        values, grid = read_volume(data, name, options.max_pixels)
        yield Page(values, name, grid, acquisition=_acquired(grid))

    def acquisition(self, path: Path) -> Acquisition:
        """Return the size of the voxels."""
        return _acquired(_header_of(path).grid)

    def stored_channels(self, path: Path) -> int | None:
        """Return the number of values per voxel from the header; raises the errors of `read_volume`."""
        return _header_of(path).shape[3]

    def sources(
        self,
        files: Sequence[Path],
        folder: Path | None,
        options: SourceOptions = SourceOptions(),  # noqa: B008 - frozen
    ) -> tuple[list[Source], Failures]:
        """Return one source per volume. Both files of a pair are the source of its header. In a folder, files of other
        kinds with these suffixes, such as `.hdr` pictures, are skipped."""
        kept = []
        for path in files:
            pair = path.name.lower().endswith(PAIR_SUFFIXES)
            if (header := header_of_pair(path) if pair else path) or folder is None:
                kept.append(header or path)
        return super().sources(list(dict.fromkeys(kept)), folder, options)

    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        """Return the outputs for labels and for objects, on the grid of the volume."""
        return {
            "labels": {
                "mask": Output("mask", (".nii.gz",), lambda results, _: _prepared(results[0], results[0].labels))
            },
            "objects": {
                "objects": Output("objects", (".nii.gz",), lambda results, _: _prepared(results[0], results[0].objects))
            },
        }.get(data, {})


def _header_of(path: Path) -> _Header:
    try:
        with os.fdopen(open_file(path), "rb") as file:
            return _read_header(file.read(HEAD_PACKED), str(path))
    except OSError as error:
        raise ImageError(f"{path} cannot be read ({error.strerror})", WANTED, "check its permissions") from error


def _acquired(grid: NiftiGrid) -> Acquisition:
    scale = _scale(grid.header, grid.affine)
    return Acquisition(spacing_mm=scale.spacing_mm, spacing_doubt=scale.doubt)


def _prepared(result: PageResult, values: Array) -> tuple[str, Write]:
    grid = result.place
    assert isinstance(grid, NiftiGrid)
    return ".nii.gz", lambda file: grid.write(file, values)


@dataclass(frozen=True, kw_only=True)
class NiftiGrid(Place):
    """The voxel grid of a file: axis order and position.

    Attributes:
        header: header of the file, from nibabel.
        affine: `(4, 4)` from voxel indices of the file to mm, whatever the unit of the file.
        shape: `(X, Y, Z)` in the order of the file.
    """

    header: Any
    affine: NDArray[np.float64]
    shape: tuple[int, int, int]

    def ordered(self, stored: Array) -> Array:
        """Convert `(X, Y, Z, …)` in the order of the file to the network's `(D, H, W, …)`; returns a view."""
        turned = _nibabel("orientations").apply_orientation(stored, self._turn(back=False))
        return np.asarray(np.moveaxis(turned, (0, 1, 2), (2, 1, 0)))

    @property
    def stored_spacing_mm(self) -> tuple[float, ...] | None:
        """`spacing_mm` along each axis of the file."""
        if self.spacing_mm is None:
            return None
        return tuple(self.spacing_mm[2 - axis] for axis in _axes(self.affine).astype(int))

    def stored(self, values: Array) -> Array:
        """Convert the network's `(D, H, W, …)` to `(X, Y, Z, …)` in the order of the file; returns a view."""
        turned = np.moveaxis(values, (2, 1, 0), (0, 1, 2))
        return np.asarray(_nibabel("orientations").apply_orientation(turned, self._turn(back=True)))

    def same_as(self, other: Place) -> bool:
        """Return whether both grids have the same position in the network's order, whatever the order of the files."""
        near = min(SAME_MM, _SAME_PART * float(np.linalg.norm(self.affine[:3, :3], axis=0).min()))
        return not isinstance(other, NiftiGrid) or bool(np.abs(self._ordered - other._ordered).max() <= near)

    @property
    def _ordered(self) -> NDArray[np.float64]:
        """`(4, 4)` from voxel indices in the network's x, y, z to mm."""
        found = self.affine @ _nibabel("orientations").inv_ornt_aff(self._turn(back=False), self.shape)
        return np.asarray(found, np.float64)

    def write(self, file: BinaryIO, values: NDArray[Any]) -> None:
        """Write labels or ids `(D, H, W)` of any integer dtype as NAME.nii.gz on this grid.

        The affine, its codes (qform, sform), the voxel sizes and the units are those of the source. The same values
        give the same bytes.
        """
        header = self.header.copy()
        header.set_data_dtype(values.dtype)
        header.set_data_shape(self.shape)
        header.set_slope_inter(1, 0)
        header["cal_min"] = header["cal_max"] = 0  # display range of the source
        header["vox_offset"] = 0  # of the source; nibabel writes its own
        kind = _nibabel().Nifti2Image if header["sizeof_hdr"] == 540 else _nibabel().Nifti1Image
        with quiet(), gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
            image = kind(self.stored(values), None, header)  # given the affine, nibabel might change its codes
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
    head = _read_header(data, name)
    count = int(np.prod(head.shape, dtype=object))
    if count > max_pixels:
        advice = "crop it, or raise the limit (seg-run --max-pixels)"
        raise ImageError(f"{name} has {count} voxels", f"at most {max_pixels}", advice)
    content = memoryview(data)
    if head.pair:
        content = content[head.behind :]
        if not content:
            raise ImageError(
                f"{name} is the header of a pair without its voxels", WANTED, "pass the path of the header"
            )
    size = count * head.dtype.itemsize
    packed = unpack(
        content, name, head.offset + size + _BEHIND, WANTED, "export it again without the data behind its voxels"
    )
    have = max(0, len(packed) - head.offset)
    if have < size:
        raise ImageError(f"{name} is damaged ({have} of {size} bytes of voxels)", WANTED, "copy or export it again")
    stored = np.frombuffer(packed, head.dtype, count, head.offset).reshape(head.shape, order="F")
    return _values(head.grid.ordered(stored), head.slope, head.inter, name), head.grid


def _nibabel(part: str = "") -> Any:
    require_extra("volume", "nibabel")
    return importlib.import_module(f"nibabel.{part}" if part else "nibabel")


@dataclass(frozen=True, kw_only=True)
class _Header:
    """What the header of a file says about its voxels.

    Attributes:
        shape: `(X, Y, Z, C)` in the order of the file.
        dtype: type of a stored value.
        offset: bytes before the voxels.
        slope, inter: a value is `slope` times the stored value plus `inter`.
        grid: position of the voxels.
        pair: whether the voxels are in a file of their own.
        behind: bytes of the header of a pair.
    """

    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    inter: float
    grid: NiftiGrid
    pair: bool
    behind: int


def _read_header(data: bytes, name: str) -> _Header:
    """Read the header of a file, of which `data` is the content or its beginning; raises the errors of `read_volume`."""
    library = _nibabel()
    start = first_bytes(data, HEADER_BYTES)
    found = layout(start)
    if found is None:
        raise ImageError(f"{name} is not a NIfTI file", WANTED, "copy or export it again")
    kind = library.Nifti2Header if found.version == 2 else library.Nifti1Header
    try:
        with quiet():
            header = kind(start[: found.size], check=False)
            header.check_fix()
            header["magic"] = kind.single_magic  # of the results
            affine = np.asarray(header.get_best_affine(), np.float64)
            affine[:3] *= _UNITS_MM.get(int(header["xyzt_units"]) % 8, 1.0)
            shape = tuple(int(n) for n in header.get_data_shape())
            dtype = header.get_data_dtype()
            slope, inter = header.get_slope_inter()
            offset = int(header["vox_offset"]) or (0 if found.pair else found.size + 4)
    except Exception as error:  # nibabel raises many classes
        raise ImageError(
            f"{name} is not a NIfTI file ({reason_of(error)})", WANTED, "copy or export it again"
        ) from error
    if not 0 <= offset <= MOST_OFFSET:
        problem = f"{name} has its voxels at byte {offset}"
        raise ImageError(problem, f"at most {MOST_OFFSET}", "export it again without header extensions")
    return _Header(
        shape=_shape(shape, name), dtype=_real(dtype, name), offset=offset, slope=1.0 if slope is None else slope,
        inter=0.0 if inter is None else inter, grid=_grid(header, affine, shape, name), pair=found.pair,
        behind=found.size + 4,
    )  # fmt: skip


def _shape(shape: tuple[int, ...], name: str) -> tuple[int, int, int, int]:
    """Return `(X, Y, Z, C)`; axes of length 1 behind the fourth mean nothing."""
    x, y, z, channels, *rest = (*shape, 1, 1, 1, 1)[: max(4, len(shape))]
    if not shape or min(shape) < 1 or channels > MOST_CHANNELS or any(n > 1 for n in rest):
        expected = f"three axes, or four with at most {MOST_CHANNELS} channels"
        raise ImageError(f"{name} has {len(shape)} axes, shape {shape}", expected, "extract one volume from it")
    return x, y, z, channels


def _real(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    if dtype.kind not in "iuf":
        raise ImageError(f"{name} has values of type {dtype}", "one real number per voxel", "convert it")
    return dtype


def _grid(header: Any, affine: NDArray[np.float64], shape: tuple[int, ...], name: str) -> NiftiGrid:
    far = not (np.abs(affine) < FARTHEST_MM).all()  # also true for NaN
    if far or not np.isfinite(_axes(affine)).all():
        raise ImageError(f"{name} has an affine that is not invertible", "", "correct its header")
    x, y, z = (*shape, 1, 1)[:3]
    spacing_mm = _scale(header, affine).spacing_mm or None
    return NiftiGrid(spacing_mm=spacing_mm, header=header, affine=affine, shape=(x, y, z))


def _axes(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the axis of the patient, x, y or z, along each axis of the file; NaN for one that depends on the others."""
    return np.asarray(_nibabel("orientations").io_orientation(affine)[:, 0], np.float64)


def _scale(header: Any, affine: NDArray[np.float64]) -> Scale:
    """Return the size of a voxel in the network's order. 1 mm along each axis is a measurement only with a position."""
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    placed = (header["qform_code"] > 0 or header["sform_code"] > 0) and affine[:3, 3].any()
    if (sizes == 1).all() and not placed:
        return Scale(doubt="1 mm along each axis, as arrays without a position have")
    return scale_of(*sizes[np.argsort(_axes(affine))][::-1].tolist())


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
