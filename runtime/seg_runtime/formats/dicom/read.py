"""DICOM images -> arrays, in the form in which `Pictures.read` gives other files.

Which grey values a model sees:

- Colour (RGB, YBR_*, PALETTE COLOR) of 8 or 16 bits becomes RGB, uint8 or uint16.
- Grey of 8 unsigned bits without a rescale is what a PNG of it would hold: uint8.
- All other grey becomes float32 in the unit of its modality, slope and intercept or the modality LUT applied:
  Hounsfield units for CT. More than 8 bits are floats even where nothing rescales: 12 of 16 bits tell no full scale
  that a model trained on integers could share.
- MONOCHROME1 without a rescale is turned, so that high is bright as in every other image. Where a rescale gives
  the values a meaning, they keep it.
- Pixel padding is no measurement. It takes the lowest value of the rest of its frame.
- VOI windows and LUTs, overlays and presentation states are for the eye, and left to it.

Source: PS3.3, C.7.6.3 (image pixels), C.11.1 (modality LUT), C.7.5.1 (padding).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...support import ImageError
from .library import Dataset, discreet, pydicom
from .unpack import BoundedFile, stream_sizes

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PALETTE = "PALETTE COLOR"
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_DIRECTORY = "1.2.840.10008.1.3.10"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_WANTED = "a DICOM image"


class NoPictureError(ImageError):
    """A DICOM object of another kind: refused when it is named, passed over in a study."""


def decode_dicom(data: bytes, name: str, max_pixels: int) -> Iterator[NDArray[Any]]:
    """Frames of a DICOM file, one after the other.

    Args:
        data: the file's content.
        name: what errors call it; nothing else about it is told.
        max_pixels: refuse a file with more px, all frames counted, before anything is unpacked.

    Yields:
        `(H, W, 1)` or `(H, W, 3)` uint8, uint16 or float32.

    Raises:
        ImageError: damaged, truncated, no image, or compressed or coloured in a way that cannot be read.
        SegError: pydicom is not installed.
    """
    header = read_dataset(io.BytesIO(data), name)
    dataset = read_dataset(io.BytesIO(data), name, _check_size(header, name, max_pixels))
    _check_size(dataset, name, max_pixels)  # again: what lies behind the pixels may say otherwise
    with discreet(name):
        _check_pixels(dataset, name)
        stored, sizes = pydicom("pixels").iter_pixels(dataset, raw=False), stream_sizes(dataset)
    for index in range(frame_count(dataset)):
        with discreet(name):
            if next(sizes, None) not in (None, (int(dataset.Columns), int(dataset.Rows), int(dataset.SamplesPerPixel))):
                problem = f"{name}: a compressed frame has another size than the file says"
                raise ImageError(problem, "one size", "export it again")
            frame = _frame(next(stored), dataset, index, name)
        yield frame


def _check_size(dataset: Dataset, name: str, max_pixels: int) -> int:
    """The px of an image, all frames counted.

    Raises:
        ImageError: no image, or more than `max_pixels`.
    """
    check_image(dataset, name)
    with discreet(name):
        pixels = int(dataset.Rows) * int(dataset.Columns) * frame_count(dataset)
        if pixels > max_pixels:
            fix = "crop it, or allow more (seg-run --max-pixels)"
            raise ImageError(f"{name} has {pixels} px", f"at most {max_pixels}", fix)
        return pixels


def read_dataset(source: Path | BinaryIO, name: str, pixels: int | None = None) -> Dataset:
    """A file's elements.

    Args:
        source: the file.
        name: what errors call it.
        pixels: how many px the image has, which bounds what a deflated file may inflate to; None for the elements
            before the pixels alone.

    Raises:
        ImageError: cannot be read or is no DICOM file.
        SegError: pydicom is not installed.
    """
    library = pydicom()
    with discreet(name):
        try:
            with BoundedFile(io.FileIO(source) if isinstance(source, Path) else source, name, pixels) as file:
                dataset = library.dcmread(file, force=True, stop_before_pixels=pixels is None)
                if file.cut and "Rows" not in dataset:
                    raise file.too_large()
        except OSError as error:
            if error.errno is None:
                raise
            problem = f"{name} cannot be read ({error.strerror})"
            raise ImageError(problem, _WANTED, "check its permissions") from None
        meta = getattr(dataset, "file_meta", None)
        if meta is None or "TransferSyntaxUID" not in meta:  # an old file without a preamble
            dataset.ensure_file_meta()
            implicit, little = dataset.original_encoding
            syntax = "1.2.840.10008.1.2" if implicit else f"1.2.840.10008.1.2.{1 if little else 2}"
            dataset.file_meta.TransferSyntaxUID = library.uid.UID(syntax)
    return dataset


def check_image(dataset: Dataset, name: str) -> None:
    """Refuse what is no image that a network for pictures can see.

    Raises:
        NoPictureError: it holds no pixels, or those of a segmentation.
        ImageError: names the reason in the standard's words, never in the file's.
    """
    with discreet(name):
        kind = _known_name(dataset.get("SOPClassUID"))
        if dataset.file_meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
            raise NoPictureError(f"{name} is a DICOM directory", _WANTED, "name its folder, with --recursive")
        if dataset.get("SOPClassUID") in _SEGMENTATIONS:
            raise NoPictureError(f"{name} is a segmentation ({kind})", _WANTED, "name the images that it was made from")
        if "Rows" not in dataset or "Columns" not in dataset or "PhotometricInterpretation" not in dataset:
            raise NoPictureError(f"{name} carries no image ({kind})", _WANTED, "name the images of the study")
        photometric = str(dataset.PhotometricInterpretation)
        if photometric not in (*GREY, *COLOUR, PALETTE):
            listed = ", ".join((*GREY, *COLOUR, PALETTE))
            raise ImageError(f"{name} has another colour model", f"one of {listed}", "export it again")
        wanted = 1 if photometric in (*GREY, PALETTE) else 3
        if dataset.get("SamplesPerPixel", wanted) != wanted:
            raise ImageError(
                f"{name} says {photometric} with {int(dataset.SamplesPerPixel)} samples per pixel", f"{wanted}",
                "export it again",
            )  # fmt: skip
        if photometric in GREY and "RedPaletteColorLookupTableDescriptor" in dataset:
            problem = f"{name} mixes grey values with palette colours"
            raise ImageError(problem, "grey values alone", "name the images that it was computed from")
        if "TotalPixelMatrixColumns" in dataset and frame_count(dataset) > 1:
            problem = f"{name} is one picture cut into {frame_count(dataset)} tiles"
            raise ImageError(problem, "a whole picture", "export it as TIFF")


def frame_count(dataset: Dataset) -> int:
    """Number of frames, 1 where the file does not say."""
    return max(1, int(dataset.get("NumberOfFrames") or 1))


def _check_pixels(dataset: Dataset, name: str) -> None:
    """Refuse what pydicom would refuse in words that may quote the file."""
    if not any(word in dataset for word in _PIXELS):
        raise ImageError(f"{name} has no pixel data", _WANTED, "copy or export it again")
    for word in ("SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation"):
        if dataset.get(word) is None and (word != "PixelRepresentation" or "PixelData" in dataset):
            raise ImageError(f"{name} has no {word}", _WANTED, "export it again")
    if str(dataset.PhotometricInterpretation) in COLOUR and dataset.get("PixelRepresentation") == 1:
        raise ImageError(f"{name} has signed colours", "unsigned ones", "export it again")
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise ImageError(f"{name} has an unknown transfer syntax", "one of the standard", "export it again")
    if not syntax.is_compressed or syntax.is_deflated:
        have = len(next(dataset[word].value for word in _PIXELS if word in dataset))
        want = pydicom("pixels.utils").get_expected_length(dataset)
        if have < want:
            problem = f"{name} is truncated ({have} of {want} bytes of pixel data)"
            raise ImageError(problem, "the whole file", "copy it again")
        return
    try:
        able = pydicom("pixels").get_decoder(syntax).is_available
    except NotImplementedError:
        able = False
    if not able:
        problem = f"{name} is compressed as {syntax.name}, which nothing installed here unpacks"
        raise ImageError(problem, "another transfer syntax", "pip install 'seg-edge[dicom]', or export it uncompressed")


def _known_name(uid: Any) -> str:
    """The standard's name of a SOP class, never an unknown UID itself."""
    return "of no known kind" if uid is None or uid.name == str(uid) else str(uid.name)


def _frame(stored: NDArray[Any], dataset: Dataset, index: int, name: str) -> NDArray[Any]:
    values = np.asarray(stored)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if str(dataset.PhotometricInterpretation) in GREY:
        return _grey(values, dataset, index, name)
    if str(dataset.PhotometricInterpretation) == PALETTE:
        return _palette(values, dataset)
    bits = int(dataset.BitsStored)
    if values.dtype not in (np.uint8, np.uint16) or bits != values.dtype.itemsize * 8:
        raise ImageError(f"{name} has {bits} bits per colour", "8 or 16", "export it with 8")
    return np.ascontiguousarray(values)


def _palette(values: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    colours: NDArray[Any] = pydicom("pixels").apply_color_lut(values, dataset)
    if colours.dtype == np.uint16:  # many hold 8 bits in a table of 16: v, v * 256 or v * 257
        low, high = (colours & 255).astype(np.uint8), (colours >> 8).astype(np.uint8)
        if not high.any():
            colours = low
        elif not low.any() or (low == high).all():
            colours = high
    return np.ascontiguousarray(colours[..., :3])


def _grey(stored: NDArray[Any], dataset: Dataset, index: int, name: str) -> NDArray[Any]:
    slope, intercept = _rescale(dataset, index, name)
    meant = "ModalityLUTSequence" in dataset or (slope, intercept) != (1.0, 0.0)
    padded = _padding(stored, dataset)
    if "ModalityLUTSequence" in dataset:
        values: NDArray[Any] = pydicom("pixels").apply_modality_lut(stored, dataset).astype(np.float32)
    elif meant or not _is_picture(stored, dataset):
        values = (stored * slope + intercept).astype(np.float32)
    else:
        values = stored * np.uint8(255) if int(dataset.BitsStored) == 1 else np.array(stored)
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1" and not meant:
        values = _turned(values, dataset)
    if padded.any() and not padded.all():
        values[padded] = values[~padded].min()
    if not np.isfinite(values).all():
        raise ImageError(
            f"{name} contains NaN, infinity or more than float32 holds", "finite values", "export it again"
        )
    return values[..., None]


def _is_picture(stored: NDArray[Any], dataset: Dataset) -> bool:
    """Whether the stored values use an unsigned range that everybody knows: 8 bits, or one."""
    unsigned = stored.dtype == np.uint8 and int(dataset.get("PixelRepresentation", 0)) == 0
    return unsigned and int(dataset.BitsStored) in (1, 8)


def _turned(values: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """High for low within the range that the stored bits span."""
    if values.dtype == np.uint8:
        return np.uint8(255) - values
    if values.dtype.kind == "f" and "PixelData" not in dataset:
        return -values
    signed = int(dataset.get("PixelRepresentation", 0)) == 1
    total = np.float32(-1 if signed else (1 << int(dataset.BitsStored)) - 1)  # smallest plus largest value
    return total - values


def _rescale(dataset: Dataset, index: int, name: str) -> tuple[float, float]:
    """Slope and intercept of a frame: of the file, of all its frames, or of this one."""
    found = dataset
    for groups, place in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", index)):
        items = dataset.get(groups) or []
        if place < len(items) and (inner := items[place].get("PixelValueTransformationSequence")):
            found = inner[0]
    slope = 1.0 if found.get("RescaleSlope") is None else float(found.RescaleSlope)
    intercept = 0.0 if found.get("RescaleIntercept") is None else float(found.RescaleIntercept)
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise ImageError(f"{name} has a rescale that no value survives", "a slope other than 0", "export it again")
    return slope, intercept


def _padding(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_]:
    """Where the stored values are padding: `PixelPaddingValue`, up to `PixelPaddingRangeLimit` where there is one."""
    first = dataset.get("PixelPaddingValue")
    if first is None or stored.dtype.kind == "f":
        return np.zeros(stored.shape, bool)
    last = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted(_as_stored(v, dataset) for v in (first, first if last is None else last))
    return (stored >= low) & (stored <= high)


def _as_stored(value: Any, dataset: Dataset) -> int:
    """A padding value with the sign of the pixels, whichever of the two its writer chose."""
    number, span = int(value), 1 << int(dataset.BitsAllocated)
    if int(dataset.get("PixelRepresentation", 0)) == 1:
        return number - span if number >= span // 2 else number
    return number + span if number < 0 else number
