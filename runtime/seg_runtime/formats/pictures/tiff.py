"""Read TIFF files with tifffile: any depth, planar or interleaved, stacks of ImageJ, OME and others.

A page is `(H, W, C)`. Samples of a pixel and an axis of channels become C; other axes, such as slices and time, become
pages. Overviews of a pyramid, thumbnails and transparency masks are no pages.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...pipeline import is_grey
from ...support import ImageError
from ..arrays import from_array, turned, without_opaque_alpha
from ..scale import Scale
from .codecs import register_decoders
from .pillow import PillowPages, check_size
from .scale import of_tiff, turned_scale

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MOST_PAGES = 20_000  # a file may claim any number in a few bytes each, and each costs time
MOST_CHANNELS = 64
_WHITE_IS_ZERO, _PALETTE = 0, 3
_READABLE = (0, 1, 2, 3, 34892)  # photometric interpretations: white is zero, grey, RGB, palette, linear raw
_JPEG = (6, 7)
_SCANNERS = ("svs", "ndpi", "scn", "bif", "philips", "ventana", "qpi", "avs", "ndtiff")  # the first series is the slide
_DESCRIBED = ("ome", "imagej", "shaped", "stk", "lsm", "fluoview", "mmstack", "nih", "scanimage")

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its lines on stderr would not name the file


@dataclass(frozen=True)
class _Plane:
    """One page of the result: the IFDs of its channels, and the place within each.

    Attributes:
        parts: for each channel or group of channels, the IFD, the offset of its data if the IFD describes several
            planes in a row (ImageJ), and an index into the inner axes of the IFD.
    """

    parts: tuple[tuple[Any, int | None, tuple[int, ...]], ...]


class TiffPages:
    """The pages of a TIFF file, see `Pages`."""

    def __init__(self, data: bytes, name: str, max_pixels: int, indices: bool) -> None:
        """Find the pages, without decompressing them.

        Raises:
            ImageError: the file is damaged or too large.
        """
        import tifffile

        register_decoders()
        self._data, self._name, self._indices, self._max_pixels = data, name, indices, max_pixels
        self._pillow: PillowPages | None = None
        with _reported(name):
            self._file = tifffile.TiffFile(io.BytesIO(data), name=name, _multifile=False)
            self._planes = list(itertools.islice(_planes(self._file), MOST_PAGES + 1))
            if len(self._planes) > MOST_PAGES:
                raise ImageError(f"{name} has more than {MOST_PAGES} pages", f"at most {MOST_PAGES}", "split it")
            if not self._planes or any(0 in ifd.shape for plane in self._planes for ifd, _, _ in plane.parts):
                raise ImageError(f"{name} has no pixels", "", "export it again")
            self._check_size()

    def __len__(self) -> int:
        """Return the number of pages."""
        return len(self._planes)

    def __getitem__(self, number: int) -> NDArray[Any]:
        """Return a page `(H, W, C)`, counted from 0."""
        title = self._name if len(self) == 1 else f"{self._name} page {number + 1}"
        with _reported(title):
            return self._page(self._planes[number], title)

    def close(self) -> None:
        """Free the content of the file."""
        self._file.close()
        if self._pillow:
            self._pillow.close()

    @property
    def scale(self) -> Scale:
        """The size of a pixel of the first page."""
        try:
            orientation = int(self._planes[0].parts[0][0].tags.valueof(274, 1))
            return turned_scale(of_tiff(self._file), orientation)
        except Exception:  # metadata may hold anything, and none of it is needed to read the pixels
            return Scale()

    @property
    def note(self) -> str:
        """Return a note about the values, empty if there is none."""
        if self._indices and any(
            part[0].photometric == _WHITE_IS_ZERO for plane in self._planes for part in plane.parts
        ):
            return f"{self._name} stores white as zero, so its values are inverted, as in a picture"
        return ""

    def _check_size(self) -> None:
        pixels = 0
        for number, plane in enumerate(self._planes, 1):
            ifd = plane.parts[0][0]
            pixels += ifd.imagewidth * ifd.imagelength
            size = max(part[0].nbytes for part in plane.parts) * len(plane.parts) / (ifd.imagewidth * ifd.imagelength)
            check_size(self._name, pixels, size, self._max_pixels, more=number < len(self._planes))
            channels = sum(part[0].samplesperpixel for part in plane.parts)
            if channels > MOST_CHANNELS:
                problem = f"{self._name} has {channels} channels"
                raise ImageError(problem, f"at most {MOST_CHANNELS}", "select the channels that you need")

    def _page(self, plane: _Plane, name: str) -> NDArray[Any]:
        read = [self._part(ifd, offset, place, name) for ifd, offset, place in plane.parts]
        if len({(part.shape[:2], part.dtype) for part in read}) > 1:
            raise ImageError(f"{name} has channels of different size or dtype", "equal channels", "export it again")
        array = read[0] if len(read) == 1 else np.concatenate(read, axis=-1)
        ifd = plane.parts[0][0]
        return turned(array, int(ifd.tags.valueof(274, 1)))

    def _part(self, ifd: Any, offset: int | None, place: tuple[int, ...], name: str) -> NDArray[Any]:
        """Read one IFD, or one plane of it, as `(H, W, S)`."""
        if ifd.photometric not in _READABLE and not _by_pillow(ifd):
            kind = getattr(ifd.photometric, "name", ifd.photometric)
            raise ImageError(f"{name} has colour model {kind}", "a grey, RGB or palette image", "convert it to RGB")
        if _by_pillow(ifd):
            if self._pillow is None:  # kept, since it looks at all pages to count them
                self._pillow = PillowPages(self._data, self._name, self._indices, "TIFF", max_pixels=self._max_pixels)
            return self._pillow[ifd.index]
        stored = self._stored(ifd, offset, name)
        stored = _samples_last(stored, ifd, place)
        return _interpreted(stored, ifd, self._indices, name)

    def _stored(self, ifd: Any, offset: int | None, name: str) -> NDArray[Any]:
        if offset is not None:
            count = math.prod(ifd.shape)
            values = np.frombuffer(self._data, np.dtype(f"{self._file.byteorder}{ifd.dtype.char}"), count, offset)
            return values.reshape(ifd.shape)
        _check_segments(ifd, len(self._data), name)
        return np.asarray(ifd.asarray())


def _by_pillow(ifd: Any) -> bool:
    """Return whether Pillow's libtiff reads an IFD: JPEG of 8 bits, so that its pixels are everywhere those of a JPEG file, and
    1 bit, since tifffile reads fax compressions only with imagecodecs."""
    jpeg = ifd.compression in _JPEG and _bits(ifd) == 8
    return isinstance(ifd.index, int) and (jpeg or (_bits(ifd) == 1 and ifd.samplesperpixel == 1))


def _planes(file: Any) -> Iterator[_Plane]:
    for axes, shape, ifds, start in _groups(file):
        inner = ifds[0].axes
        outer = axes[: len(axes) - len(inner)]
        grid = shape[: len(outer)]
        loops = [range(n) for axis, n in zip(outer, grid, strict=True) if axis != "C"]
        inside = [range(n) for axis, n in zip(inner, ifds[0].shape, strict=True) if axis not in "YXSC"]
        channels = grid[outer.index("C")] if "C" in outer else 1
        strides = [math.prod(grid[i + 1 :]) for i in range(len(grid))]
        steps = [step for axis, step in zip(outer, strides, strict=True) if axis != "C"]
        channel_step = strides[outer.index("C")] if "C" in outer else 0
        size = ifds[0].nbytes
        for place in itertools.product(*loops):
            first = sum(i * step for i, step in zip(place, steps, strict=True))
            numbers = [first + channel * channel_step for channel in range(channels)]
            for within in itertools.product(*inside):
                yield _Plane(
                    tuple(
                        (ifds[0], start + number * size, within) if start is not None else (ifds[number], None, within)
                        for number in numbers
                    )
                )


def _groups(file: Any) -> Iterator[tuple[str, tuple[int, ...], Sequence[Any], int | None]]:
    """Yield axes, shape and IFDs of each group of pages, and the offset of the data if one IFD describes all of them."""
    described = next((kind for kind in (*_SCANNERS, *_DESCRIBED) if getattr(file, f"is_{kind}", False)), "")
    if not described:
        for number in itertools.count():
            try:
                ifd = file.pages[number]
            except IndexError:
                return
            if not (ifd.is_reduced or ifd.is_mask):
                whole = ifd.aspage() if hasattr(ifd, "aspage") else ifd
                yield whole.axes, whole.shape, [whole], None
        return
    for series in file.series[: 1 if described in _SCANNERS else None]:
        first = series.keyframe
        if first.is_reduced or first.is_mask or first.shape == ():
            continue
        count = math.prod(series.shape) // max(1, math.prod(first.shape))
        if len(series.pages) == 1 and count > 1:
            if series.dataoffset is None:
                raise ImageError(f"{file.filename} has {count} planes in one page", "", "save one page for each plane")
            yield series.axes, series.shape, [first], int(series.dataoffset)
        else:
            pages = [None if p is None else p.aspage() for p in series.pages]
            if None in pages or len(pages) != count:
                have = sum(page is not None for page in pages)
                raise ImageError(f"{file.filename} has {have} pages", f"{count}, as it says", "export it again")
            yield series.axes, series.shape, pages, None


def _samples_last(stored: NDArray[Any], ifd: Any, place: tuple[int, ...]) -> NDArray[Any]:
    """Reduce the array of an IFD to `(H, W, S)`."""
    axes = ifd.axes
    numbers = iter(place)
    picked = stored[tuple(slice(None) if axis in "YXSC" else next(numbers) for axis in axes)]
    left = [axis for axis in axes if axis in "YXSC"]
    if len(left) == 2:
        return picked[..., None]
    return np.moveaxis(picked, [left.index(a) for a in "YX"], [0, 1]).reshape(*(ifd.imagelength, ifd.imagewidth), -1)


def _interpreted(stored: NDArray[Any], ifd: Any, indices: bool, name: str) -> NDArray[Any]:
    """Apply the photometric interpretation, which says what the stored values mean."""
    bits = _bits(ifd)
    if ifd.photometric == _PALETTE and not indices:
        colours = np.asarray(ifd.colormap) >> 8  # 16 bits per entry
        if int(stored.max()) >= colours.shape[-1]:
            raise ImageError(f"{name} has an index beyond its palette", "", "export it again")
        found = np.moveaxis(colours.astype(np.uint8)[:, stored[..., 0]], 0, -1)
        return found[..., :1] if is_grey(found) else found
    if bits in (2, 4) and not indices:
        stored, top = stored * np.uint8(255 // (2**bits - 1)), 255
    else:
        top = 2**bits - 1
    if ifd.photometric == _WHITE_IS_ZERO:
        if stored.dtype.kind != "u":
            problem = f"{name} stores white as zero in {stored.dtype} values, which have no white"
            raise ImageError(problem, "black as zero", "save it with the photometric interpretation MinIsBlack")
        stored = stored.dtype.type(top) - stored
    array = from_array(stored, name)
    alpha = ifd.extrasamples and ifd.samplesperpixel in (2, 4) and int(ifd.extrasamples[-1]) in (1, 2)
    return without_opaque_alpha(array) if alpha else array


def _bits(ifd: Any) -> int:
    bits = ifd.bitspersample
    return int(bits if isinstance(bits, int) else max(bits))


def _check_segments(ifd: Any, size: int, name: str) -> None:
    """Check that all strips or tiles are in the file, since tifffile fills those that are missing with zeros."""
    wanted = math.prod(ifd.chunked)
    places = list(zip(ifd.dataoffsets, ifd.databytecounts, strict=False))
    missing = sum(1 for offset, count in places if offset <= 0 or count <= 0 or offset + count > size)
    if missing or len(places) < wanted:
        problem = (
            f"{name} is truncated ({missing + max(0, wanted - len(places))} of {wanted} strips or tiles are missing)"
        )
        raise ImageError(problem, "", "copy or export it again")


@contextlib.contextmanager
def _reported(name: str) -> Iterator[None]:
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # tifffile and codecs raise many classes
        text = str(error)
        if "imagecodecs" in text:
            problem = f"{name} has a compression that needs the package imagecodecs"
            raise ImageError(problem, "", "install the extra tiff: pip install 'seg-edge[tiff]'") from error
        raise ImageError(f"{name} is damaged ({text})", "", "copy or export it again") from error
