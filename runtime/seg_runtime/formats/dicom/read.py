"""Read DICOM images as arrays, in the same form as `Pictures.read`.

The values passed to a model are:

- Colour (RGB, YBR_*, PALETTE COLOR) with 8 or 16 bits becomes RGB, uint8 or uint16.
- Grey with 8 unsigned bits and without a rescale becomes uint8, as in a PNG file.
- All other grey becomes float32 in the units of the modality, with slope and intercept or the modality LUT applied,
  e.g. Hounsfield units for CT. Grey with more than 8 bits becomes float even without a rescale, because the full scale
  of, for example, 12 of 16 bits does not match that of integer training images.
- MONOCHROME1 without a rescale is inverted, so that high values are bright, as in all other images. With a rescale, the
  values have a meaning and are kept.
- Padding pixels are not measurements. They are set to the lowest other value of the frame.
- VOI windows and LUTs, overlays and presentation states are for display and are ignored.

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
from .unpack import ELEMENTS_BYTES, BoundedFile, DeflatedError, check_items, inflated, stream_sizes, too_large

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PALETTE = "PALETTE COLOR"
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_DIRECTORY = "1.2.840.10008.1.3.10"
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_PADDING = 16  # bytes that some programs write behind the pixels
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_WANTED = "a DICOM image"
_UNKNOWN = "unknown kind"
_IMAGES = ("Image Storage", "US Volume Storage", "Parametric Map Storage")
"""Words in the names of the SOP classes of images; others, such as doses and reports, are no images."""


class NoPictureError(ImageError):
    """A DICOM object that is not an image: an error if the user names it, skipped in a study."""


def decode_dicom(data: bytes, name: str, max_pixels: int) -> Iterator[tuple[NDArray[Any], Dataset]]:
    """Decode the frames of a DICOM file one by one.

    Args:
        data: content of the file.
        name: name of the file, the only fact about it in errors.
        max_pixels: refuse a file with more px in all frames, before it is decompressed.

    Yields:
        `(H, W, 1)` or `(H, W, 3)` uint8, uint16 or float32, and the dataset of the file.

    Raises:
        ImageError: the file is damaged, truncated or not an image, or its compression or colour model is not supported.
        SegError: pydicom is not installed.
    """
    size = _check_size(read_dataset(io.BytesIO(data), name), name, max_pixels)
    dataset = read_dataset(io.BytesIO(data), name, size)
    _check_size(dataset, name, max_pixels)  # again, since elements after the pixels may change the size
    with discreet(name):
        _check_pixels(dataset, name)
        stored, sizes = pydicom("pixels").iter_pixels(dataset, raw=False), stream_sizes(dataset)
    for index in range(frame_count(dataset)):
        with discreet(name):
            if next(sizes, None) not in (None, (int(dataset.Columns), int(dataset.Rows), int(dataset.SamplesPerPixel))):
                problem = f"{name} has a compressed frame whose size differs from the header"
                raise ImageError(problem, "", "export it again")
            if (values := next(stored, None)) is None:
                problem = f"{name} is truncated ({index} of {frame_count(dataset)} frames)"
                raise ImageError(problem, "", "copy it again")
            frame = _frame(values, dataset, index, name)
        yield frame, dataset


def _check_size(dataset: Dataset, name: str, max_pixels: int) -> int:
    """Return the number of bytes of the pixels in all frames, without compression.

    Raises:
        ImageError: the dataset is not an image, or has more than `max_pixels` px.
    """
    check_image(dataset, name)
    with discreet(name):
        pixels = int(dataset.Rows) * int(dataset.Columns) * frame_count(dataset)
        if pixels > max_pixels:
            advice = "crop it, or raise the limit (seg-run --max-pixels)"
            raise ImageError(f"{name} has {pixels} px", f"at most {max_pixels}", advice)
        samples = 1 if str(dataset.PhotometricInterpretation) in (*GREY, PALETTE) else 3
        return pixels * samples * -(-min(64, int(dataset.get("BitsAllocated") or 8)) // 8)


def read_dataset(source: Path | BinaryIO, name: str, pixel_bytes: int | None = None) -> Dataset:
    """Read the elements of a file. The dataset of a deflated file is that of the same file without compression.

    Args:
        source: the file.
        name: name of the file, for errors.
        pixel_bytes: size of the pixels, which limits the inflated size of a deflated file; None reads only the elements
            before the pixels.

    Raises:
        ImageError: the file cannot be read, is not a DICOM file or has too many elements.
        SegError: pydicom is not installed.
    """
    library = pydicom()
    with discreet(name):
        try:
            with BoundedFile(io.FileIO(source) if isinstance(source, Path) else source, name) as file:
                dataset = _parsed(file, name, pixel_bytes)
        except OSError as error:
            if error.errno is None:
                raise
            problem = f"{name} cannot be read ({error.strerror})"
            raise ImageError(problem, _WANTED, "check the path and its permissions") from None
        check_items(dataset, name)
        meta = getattr(dataset, "file_meta", None)
        if meta is None or "TransferSyntaxUID" not in meta:  # an old file without a preamble
            dataset.ensure_file_meta()
            implicit, little = dataset.original_encoding
            syntax = "1.2.840.10008.1.2" if implicit else f"1.2.840.10008.1.2.{1 if little else 2}"
            dataset.file_meta.TransferSyntaxUID = library.uid.UID(syntax)
    return dataset


def _parsed(file: BoundedFile, name: str, pixel_bytes: int | None) -> Dataset:
    read, header_only = pydicom().dcmread, pixel_bytes is None
    try:
        return read(file, force=True, stop_before_pixels=header_only)
    except DeflatedError:
        plain, cut = inflated(file, ELEMENTS_BYTES + (pixel_bytes or 0))
    if cut and not header_only:
        raise too_large(name)
    dataset = read(BoundedFile(plain, name), force=True, stop_before_pixels=header_only)
    if cut and "Rows" not in dataset:
        raise too_large(name)
    return dataset


def check_image(dataset: Dataset, name: str) -> None:
    """Check that a dataset is an image that a network can process.

    Raises:
        NoPictureError: it has no pixels, or is a segmentation.
        ImageError: it is not supported; the error uses terms of the standard, never text from the file.
    """
    with discreet(name):
        stored = dataset.file_meta.get("MediaStorageSOPClassUID")
        kinds = [_known_name(uid) for uid in (stored, dataset.get("SOPClassUID")) if uid is not None]
        kind = next((k for k in kinds if k != _UNKNOWN), _UNKNOWN)
        is_image = any(word in k for k in kinds for word in _IMAGES)
        if stored == _DIRECTORY:
            raise NoPictureError(f"{name} is a DICOM directory", _WANTED, "pass its folder with --recursive")
        if dataset.get("SOPClassUID") in _SEGMENTATIONS:
            raise NoPictureError(f"{name} is a segmentation ({kind})", _WANTED, "pass the images it was made from")
        whole = all(word in dataset for word in ("Rows", "Columns", "PhotometricInterpretation"))
        if not whole and (is_image or (kind == _UNKNOWN and "SOPClassUID" not in dataset)):
            raise ImageError(f"{name} is truncated or damaged ({kind} without an image)", "", "copy it again")
        if not is_image and (not whole or kind != _UNKNOWN):  # another kind of object, which a study may contain
            raise NoPictureError(f"{name} contains no image ({kind})", _WANTED, "pass the images of the study")
        photometric = str(dataset.PhotometricInterpretation)
        if photometric not in (*GREY, *COLOUR, PALETTE):
            listed = ", ".join((*GREY, *COLOUR, PALETTE))
            raise ImageError(f"{name} has an unsupported colour model", f"one of {listed}", "export it again")
        wanted = 1 if photometric in (*GREY, PALETTE) else 3
        if dataset.get("SamplesPerPixel", wanted) != wanted:
            raise ImageError(
                f"{name} is {photometric} with {int(dataset.SamplesPerPixel)} samples per pixel", f"{wanted}",
                "export it again",
            )  # fmt: skip
        if photometric in GREY and "RedPaletteColorLookupTableDescriptor" in dataset:
            problem = f"{name} mixes grey values with palette colours"
            raise ImageError(problem, "grey values only", "pass the images it was computed from")
        if "TotalPixelMatrixColumns" in dataset and frame_count(dataset) > 1:
            problem = f"{name} is one image divided into {frame_count(dataset)} tiles"
            raise ImageError(problem, "an image without tiles", "export it as TIFF")


def frame_count(dataset: Dataset) -> int:
    """Return the number of frames, 1 if the file does not specify it."""
    return max(1, int(dataset.get("NumberOfFrames") or 1))


def _check_pixels(dataset: Dataset, name: str) -> None:
    """Check what pydicom would report with text that may contain values from the file."""
    if not any(word in dataset for word in _PIXELS):
        raise ImageError(f"{name} has no pixel data", _WANTED, "copy or export it again")
    of_integers = ("BitsStored", "PixelRepresentation") if "PixelData" in dataset else ()  # floats have neither
    for word in ("SamplesPerPixel", "BitsAllocated", *of_integers):
        if dataset.get(word) is None:
            raise ImageError(f"{name} has no {word}", _WANTED, "export it again")
    _check_high_bit(dataset, name)
    if str(dataset.PhotometricInterpretation) in COLOUR and dataset.get("PixelRepresentation") == 1:
        raise ImageError(f"{name} has signed colour values", "unsigned values", "export it again")
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise ImageError(f"{name} has an unknown transfer syntax", "a standard one", "export it again")
    if not syntax.is_compressed or syntax.is_deflated:
        pixels = next(dataset[word].value for word in _PIXELS if word in dataset)
        have = len(pixels)
        want = pydicom("pixels.utils").get_expected_length(dataset)
        if have < want:
            problem = f"{name} is truncated ({have} of {int(want)} bytes of pixel data)"
            raise ImageError(problem, "", "copy it again")
        row = want / (frame_count(dataset) * max(1, int(dataset.Rows)))
        padding = pixels[
            int(want) :
        ]  # which may be a row; else rows, columns or frames are wrong, and the image sheared
        if len(padding) > row + _PADDING or (len(padding) > 1 and any(padding)):
            problem = f"{name} has {have} bytes of pixel data"
            raise ImageError(problem, f"{int(want)} for its size", "export it again")
        return
    if not _decodable(dataset):
        bits = f" with {int(dataset.BitsStored)} bits"
        problem = f"{name} is compressed as {syntax.name}{bits}, which no installed package can decode"
        raise ImageError(problem, "", "install a decoder: pip install 'seg-edge[dicom]', or export it uncompressed")


def _decodable(dataset: Dataset) -> bool:
    """Return whether an installed package can decode a compressed file."""
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        decoder = pydicom("pixels").get_decoder(syntax)
    except NotImplementedError:
        return False
    if syntax == _JPEG_EXTENDED and int(dataset.BitsStored) > 8:  # Pillow decodes 8 bits only
        return "pylibjpeg" in decoder.available_plugins or "gdcm" in decoder.available_plugins
    return bool(decoder.is_available)


def _check_high_bit(dataset: Dataset, name: str) -> None:
    """Check that the stored bits are the lowest ones, as pydicom assumes; old files may have them above others."""
    if "PixelData" not in dataset:
        return
    stored, high = int(dataset.BitsStored), dataset.get("HighBit")
    if high is not None and int(high) != stored - 1:
        problem = f"{name} has {stored} bits stored with the high bit {int(high)}"
        raise ImageError(problem, f"the high bit {stored - 1} (PS3.5, 8.1.1)", "export it again")


def _known_name(uid: Any) -> str:
    """Return the name of a SOP class in the standard, never an unknown UID."""
    return _UNKNOWN if uid is None or uid.name == str(uid) else str(uid.name)


def _frame(stored: NDArray[Any], dataset: Dataset, index: int, name: str) -> NDArray[Any]:
    values = np.asarray(stored)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if str(dataset.PhotometricInterpretation) in GREY:
        return _grey(values, dataset, index, name)
    if str(dataset.PhotometricInterpretation) == PALETTE:
        return _palette(values, dataset)
    bits = int(dataset.BitsStored)
    if values.dtype not in (np.uint8, np.uint16) or bits != values.dtype.itemsize * 8:
        raise ImageError(f"{name} has {bits} bits per colour", "8 or 16", "export it with 8 bits")
    return np.ascontiguousarray(values)


def _palette(values: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    colours: NDArray[Any] = pydicom("pixels").apply_color_lut(values, dataset)
    if colours.dtype == np.uint16:  # many 16-bit tables hold 8-bit values: v, v * 256 or v * 257
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
        problem = f"{name} contains NaN, infinity or values beyond the range of float32"
        raise ImageError(problem, "finite values", "export it again")
    return values[..., None]


def _is_picture(stored: NDArray[Any], dataset: Dataset) -> bool:
    """Return whether the stored values use a common unsigned range: 8 bits, or one bit."""
    unsigned = stored.dtype == np.uint8 and int(dataset.get("PixelRepresentation", 0)) == 0
    return unsigned and int(dataset.BitsStored) in (1, 8)


def _turned(values: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Invert the values within the range of the stored bits."""
    if values.dtype == np.uint8:
        return np.uint8(255) - values
    if values.dtype.kind == "f" and "PixelData" not in dataset:
        return -values
    signed = int(dataset.get("PixelRepresentation", 0)) == 1
    total = np.float32(-1 if signed else (1 << int(dataset.BitsStored)) - 1)  # smallest plus largest value
    return total - values


def _rescale(dataset: Dataset, index: int, name: str) -> tuple[float, float]:
    """Return slope and intercept of a frame, from the file, its shared groups or the groups of the frame."""
    found = dataset
    for groups, place in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", index)):
        items = dataset.get(groups) or []
        if place < len(items) and (inner := items[place].get("PixelValueTransformationSequence")):
            found = inner[0]
    slope = 1.0 if found.get("RescaleSlope") is None else float(found.RescaleSlope)
    intercept = 0.0 if found.get("RescaleIntercept") is None else float(found.RescaleIntercept)
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        problem = f"{name} has an invalid rescale slope or intercept"
        raise ImageError(problem, "finite numbers and a slope other than 0", "export it again")
    return slope, intercept


def _padding(stored: NDArray[Any], dataset: Dataset) -> NDArray[np.bool_]:
    """Return where the stored values are padding: `PixelPaddingValue`, or the range up to `PixelPaddingRangeLimit`."""
    first = dataset.get("PixelPaddingValue")
    if first is None or stored.dtype.kind == "f":
        return np.zeros(stored.shape, bool)
    last = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted(_as_stored(v, dataset) for v in (first, first if last is None else last))
    return (stored >= low) & (stored <= high)


def _as_stored(value: Any, dataset: Dataset) -> int:
    """Convert a padding value, which programs write signed or unsigned, to the signedness of the pixels."""
    number, span = int(value), 1 << int(dataset.BitsAllocated)
    if int(dataset.get("PixelRepresentation", 0)) == 1:
        return number - span if number >= span // 2 else number
    return number + span if number < 0 else number
