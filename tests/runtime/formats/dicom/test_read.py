"""Which grey values and colours a model sees of a DICOM file."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seg_runtime import ImageError, SegError
from seg_runtime.formats.dicom import Dicom, unpack
from seg_runtime.formats.dicom.study import find_stacks
from seg_runtime.pipeline import Array

from tests.support.dicom import SC, dataset, field, placed, save
from tests.support.reading import decode

STORED = np.array([[0, 100, 1024], [3000, 4095, 7]], np.uint16)


def content(it: Any) -> bytes:
    file = io.BytesIO()
    it.save_as(file, enforce_file_format=True)
    return file.getvalue()


def read(it: Any) -> Array:
    (page,) = decode(content(it), "image")
    assert page.flags.writeable
    return page


def refusal(it: Any) -> str:
    with pytest.raises(ImageError) as error:
        list(decode(content(it) if not isinstance(it, bytes) else it, "image"))
    text = str(error.value)
    assert "\n" not in text
    assert (
        error.value.__suppress_context__ or error.value.__context__ is None
    )  # a traceback would quote the library, and that the file
    return text


def test_ct_is_in_hounsfield_units() -> None:
    page = read(placed(STORED.astype(np.int16), (0, 0, 0)))
    assert page.dtype == np.float32
    np.testing.assert_array_equal(page[..., 0], STORED.astype(np.float32) - 1024)


def test_slope_and_intercept_are_applied_in_double_precision() -> None:
    page = read(dataset(STORED, RescaleSlope="0.1", RescaleIntercept="-3.5"))
    np.testing.assert_array_equal(page[..., 0], (STORED * 0.1 - 3.5).astype(np.float32))


def test_eight_unsigned_bits_are_what_a_png_of_it_holds() -> None:
    values = np.array([[0, 128, 255]], np.uint8)
    page = read(dataset(values, SC))
    assert page.dtype == np.uint8
    np.testing.assert_array_equal(page[..., 0], values)


@pytest.mark.parametrize(
    ("pixels", "more"),
    [
        (STORED, {}),
        (STORED, {"BitsStored": 12, "HighBit": 11}),
        (STORED.astype(np.int16), {}),
        (np.array([[1, 2]], np.int8), {}),
        (np.array([[1, 2]], np.uint8), {"BitsStored": 6, "HighBit": 5}),
        (np.array([[1, 2]], np.uint8), {"RescaleSlope": "2", "RescaleIntercept": "0"}),
    ],
)
def test_all_other_grey_is_floats(pixels: Array, more: dict[str, Any]) -> None:
    page = read(dataset(pixels, SC, **more))
    assert page.dtype == np.float32
    np.testing.assert_array_equal(page[..., 0], pixels * np.float32(more.get("RescaleSlope", 1)))


def test_monochrome1_without_a_unit_is_turned() -> None:
    values = np.array([[0, 128, 255]], np.uint8)
    light = {"PhotometricInterpretation": "MONOCHROME1"}
    assert read(dataset(values, SC, **light))[..., 0].tolist() == [[255, 127, 0]]
    twelve = read(dataset(STORED, SC, BitsStored=12, HighBit=11, **light))
    np.testing.assert_array_equal(twelve[..., 0], 4095 - STORED.astype(np.float32))
    signed = read(dataset(np.array([[-32768, 0, 32767]], np.int16), SC, **light))
    assert signed[..., 0].tolist() == [[32767, -1, -32768]]


def test_monochrome1_with_a_unit_keeps_its_values() -> None:
    page = read(placed(STORED.astype(np.int16), (0, 0, 0), PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(page[..., 0], STORED.astype(np.float32) - 1024)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_padding_takes_the_lowest_value_that_was_measured(dtype: type) -> None:
    pixels = np.array([[63536, 63536, 900], [1000, 1100, 1200]], np.uint16).astype(dtype)  # 63536 is -2000
    for written in (-2000, 63536):  # a writer may have chosen the other sign
        it = placed(pixels, (0, 0, 0))
        it.add_new("PixelPaddingValue", "SS" if written < 0 else "US", written)
        assert read(it)[..., 0].tolist() == [[-124, -124, -124], [-24, 76, 176]]


def test_padding_may_be_a_range_and_may_be_all() -> None:
    pixels = np.array([[1, 2, 3, 40, 50]], np.uint16)
    ranged = {"PixelPaddingValue": 3, "PixelPaddingRangeLimit": 1}
    assert read(dataset(pixels, SC, **ranged))[..., 0].tolist() == [[40, 40, 40, 40, 50]]
    assert read(dataset(pixels[:, :3], SC, **ranged))[..., 0].tolist() == [[1, 2, 3]]


def test_colour_is_rgb_however_it_is_stored() -> None:
    from pydicom.pixels import convert_color_space

    rgb = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(read(dataset(rgb, SC)), rgb)
    planes = dataset(rgb, SC, PlanarConfiguration=1, PixelData=np.ascontiguousarray(rgb.transpose(2, 0, 1)).tobytes())
    np.testing.assert_array_equal(read(planes), rgb)
    ybr = convert_color_space(rgb, "RGB", "YBR_FULL")
    page = read(dataset(ybr, SC, PhotometricInterpretation="YBR_FULL"))
    assert page.dtype == np.uint8
    assert np.abs(page.astype(int) - rgb).max() <= 2
    wide = rgb.astype(np.uint16) * 257
    assert read(dataset(wide, SC)).dtype == np.uint16


@pytest.mark.parametrize("table", ["8 bits", "8 in 16, low", "8 in 16, high"])
def test_a_palette_becomes_its_colours(table: str) -> None:
    red = np.arange(256)[::-1]
    it = dataset(np.array([[0, 1, 255]], np.uint8), SC, PhotometricInterpretation="PALETTE COLOR")
    for name, values in (("Red", red), ("Green", np.arange(256)), ("Blue", np.full(256, 9))):
        bits, data = 16, (values << (8 if "high" in table else 0)).astype("<u2").tobytes()
        if table == "8 bits":
            bits, data = 8, values.astype(np.uint8).tobytes()
        setattr(it, f"{name}PaletteColorLookupTableDescriptor", [256, 0, bits])
        setattr(it, f"{name}PaletteColorLookupTableData", data)
    page = read(it)
    assert (page.dtype, page.tolist()) == (np.uint8, [[[255, 0, 9], [254, 1, 9], [0, 255, 9]]])


def test_a_modality_lut_gives_the_unit() -> None:
    from pydicom.dataset import Dataset

    lut = Dataset()
    lut.LUTDescriptor, lut.ModalityLUTType = [4, 0, 16], "OD"
    lut.add_new("LUTData", "OW", np.array([5, 10, 400, 70], "<u2").tobytes())
    page = read(dataset(np.array([[0, 1, 2, 3, 9]], np.uint8), SC, ModalityLUTSequence=[lut]))
    assert page[..., 0].tolist() == [[5, 10, 400, 70, 70]]
    assert page.dtype == np.float32


@pytest.mark.parametrize(
    "syntax", ["RLELossless", "JPEG2000Lossless", "JPEGLSLossless", "DeflatedExplicitVRLittleEndian"]
)
def test_lossless_compression_changes_nothing(syntax: str) -> None:
    import pydicom.uid

    it = placed(field(32, 40), (0, 0, 0))
    plain = read(it)
    uid = getattr(pydicom.uid, syntax)
    if uid.is_deflated:
        it.file_meta.TransferSyntaxUID = uid
    else:
        it.compress(uid)
    np.testing.assert_array_equal(read(it), plain)


def test_frames_follow_their_own_rescale() -> None:
    from pydicom.dataset import Dataset

    def group(slope: int) -> Any:
        inner, outer = Dataset(), Dataset()
        inner.RescaleSlope, inner.RescaleIntercept, inner.RescaleType = slope, -10, "HU"
        outer.PixelValueTransformationSequence = [inner]
        return outer

    it = dataset(STORED, SC, NumberOfFrames=2, PixelData=STORED.tobytes() * 2)
    it.PerFrameFunctionalGroupsSequence = [group(1), group(2)]
    pages = list(decode(content(it), "image"))
    for slope, page in zip((1, 2), pages, strict=True):
        np.testing.assert_array_equal(page[..., 0], STORED.astype(np.float32) * slope - 10)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"PixelData": b"\0\0"}, "truncated (2 of 12 bytes"),
        ({"PixelData": None}, "no pixel data"),
        ({"PixelData": bytes(40)}, "has 40 bytes of pixel data; expected 12 for its size"),
        ({"PhotometricInterpretation": "CMYK"}, "unsupported colour model"),
        ({"SamplesPerPixel": 3}, "MONOCHROME2 with 3 samples"),
        ({"BitsStored": 12, "HighBit": 15}, "12 bits stored with the high bit 15; expected the high bit 11"),
        ({"BitsStored": 10, "HighBit": 11}, "10 bits stored with the high bit 11"),
        ({"NumberOfFrames": 2147483647}, "has 12884901882 px; expected at most"),
        ({"NumberOfFrames": 20_000_000}, "truncated (12 of 240000000 bytes"),
        ({"RescaleSlope": "0", "RescaleIntercept": "1"}, "a slope other than 0"),
        ({"NumberOfFrames": 4, "TotalPixelMatrixColumns": 6}, "divided into 4 tiles"),
        ({"Rows": 0}, "has 12 bytes of pixel data; expected 0 for its size"),
        ({"BitsAllocated": 13}, "has 12 bytes of pixel data; expected 6 for its size"),
        ({"Rows": None}, "is truncated or damaged (Secondary Capture Image Storage without an image)"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(more: dict[str, Any], reason: str) -> None:
    assert reason in refusal(dataset(STORED, SC, **more))


@pytest.mark.parametrize("word", ["SamplesPerPixel", "PixelRepresentation", "BitsStored"])
@pytest.mark.parametrize("colour", [False, True])
def test_what_is_missing_is_named(word: str, colour: bool) -> None:
    pixels = np.zeros((4, 5, 3), np.uint8) if colour else STORED
    assert f"has no {word}" in refusal(dataset(pixels, SC, **{word: None}))


def test_signed_colours_are_refused_as_such() -> None:
    assert "has signed colour values" in refusal(dataset(np.zeros((4, 5, 3), np.uint8), SC, PixelRepresentation=1))


def test_an_unknown_compression_and_broken_streams_are_refused() -> None:
    it = dataset(STORED, SC)
    it.compress("1.2.840.10008.1.2.5")
    data = content(it)
    it.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # MPEG-4
    it["PixelData"].is_undefined_length = True
    assert "MPEG-4" in refusal(content(it))
    for end in (140, len(data) // 2, len(data) - 9):
        refusal(data[:end])


def test_a_large_image_is_refused_before_it_is_unpacked() -> None:
    it = dataset(STORED, SC)
    it.compress("1.2.840.10008.1.2.5")
    it.Rows = it.Columns = 60000
    assert "has 3600000000 px; expected at most" in refusal(it)


def test_a_compressed_file_with_fewer_frames_than_it_claims_is_refused() -> None:
    it = dataset(STORED[:1, :1], SC)
    it.compress("1.2.840.10008.1.2.5")
    it.NumberOfFrames = 170_000_000
    assert "is truncated (1 of 170000000 frames)" in refusal(it)


def many(kind: str) -> bytes:
    """Content of a small file with 7000 elements or items of sequences."""
    group = {"deflated": b"\x08\x00\x40\x11", "plain": b"\x08\x00\x40\x11", "unparsed": b"\x00\x52\x30\x92"}[kind]
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 7000
    length = len(items).to_bytes(4, "little") if kind == "unparsed" else b"\xff" * 4
    end = b"" if kind == "unparsed" else b"\xfe\xff\xdd\xe0\0\0\0\0"
    it = dataset(STORED, SC)
    it.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    data = content(it)
    start = 144 + int.from_bytes(data[140:144], "little")
    place = data.index(b"\x10\x00\x10\x00" if kind != "unparsed" else b"\xe0\x7f\x10\x00", start)
    body = data[start:place] + group + b"SQ\0\0" + length + items + end + data[place:]
    if kind == "plain":
        return data[:start] + body
    it.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    data = content(it)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return data[: 144 + int.from_bytes(data[140:144], "little")] + deflater.compress(body) + deflater.flush()


@pytest.mark.parametrize("kind", ["deflated", "plain", "unparsed"])
def test_items_of_sequences_are_bounded_before_they_fill_the_memory(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = many(kind)
    assert list(decode(data, "image"))
    monkeypatch.setattr(unpack, "MOST_READS", 6000)  # of 600,000, to save time
    monkeypatch.setattr(unpack, "MOST_ITEMS", 2000)
    told = "image has too many elements; expected at most 3000 elements and 2000 items in sequences"
    assert told in refusal(data)
    (tmp_path / "a.dcm").write_bytes(data)
    assert len(find_stacks([tmp_path / "a.dcm"])[1]) == 1


def test_rle_expands_to_what_its_frame_takes() -> None:
    from pydicom.encaps import encapsulate

    grey = np.zeros((64, 64), np.uint8)
    it = dataset(grey, SC)
    it.compress("1.2.840.10008.1.2.5")
    stream = np.array([1, 64, *[0] * 14], "<u4").tobytes() + b"\x81\0" * (1 << 20)  # runs of 128 zeros
    it.PixelData = encapsulate([stream])
    tracemalloc.start()
    try:
        assert "damaged or violated the DICOM standard" in refusal(it)
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_a_length_in_a_file_reserves_no_memory() -> None:
    data = content(dataset(STORED, SC))
    place = data.index(b"\x10\x00\x10\x00")
    huge = data[:place] + b"\x09\x00\x10\x10OB\0\0" + (3 << 30).to_bytes(4, "little") + data[place:]
    tracemalloc.start()
    try:
        refusal(huge)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("behind", [False, True])
def test_a_deflated_file_inflates_to_what_its_image_takes(tmp_path: Path, behind: bool) -> None:
    it = dataset(STORED, SC)
    it.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    it.add_new(0xFFFCFFFC if behind else 0x00091010, "OB", bytes(200 << 20))  # padding behind, a private element before
    data = content(it)
    del it
    assert len(data) < 1 << 20
    (tmp_path / "bomb.dcm").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="inflates to more data than its image needs"):
            list(decode(data, "image", 1000))
        _, failed = find_stacks([tmp_path / "bomb.dcm"])
        assert len(failed) == (0 if behind else 1)
        it = dataset(np.zeros((2, 2), np.uint8), SC)
        it.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
        it.Rows = it.Columns = 4000  # 16 MB
        it.PixelData = bytes(64 << 20)
        data = content(it)
        del it
        tracemalloc.reset_peak()
        with pytest.raises(ImageError, match="inflates to more data than its image needs"):
            list(decode(data, "image"))
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.50"])
def test_a_stream_of_another_size_is_refused_before_it_is_unpacked(syntax: str) -> None:
    from PIL import Image
    from pydicom.encaps import encapsulate

    grey = np.zeros((1500, 1500), np.uint8)
    it, small = dataset(grey, SC), dataset(grey[:8, :8], SC)
    if syntax.endswith(".50"):
        file = io.BytesIO()
        Image.fromarray(grey).save(file, "jpeg")
        it.PixelData = encapsulate([file.getvalue()])
        it.file_meta.TransferSyntaxUID = syntax
        it["PixelData"].is_undefined_length = True
    else:
        it.compress(syntax)
    assert read(it).shape == (1500, 1500, 1)
    small.PixelData, small.file_meta.TransferSyntaxUID = it.PixelData, syntax
    small["PixelData"].is_undefined_length = True
    assert "a compressed frame whose size differs from the header" in refusal(small)


def test_dicom_is_known_by_its_content(tmp_path: Path) -> None:
    data = content(dataset(STORED, SC))
    assert Dicom().recognises(data[:144])
    bare = bytes(data[132:])  # no preamble, as old files are
    assert Dicom().recognises(bare)
    assert Dicom().recognises(b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100")
    for other in (b"", b"\x89PNG\r\n\x1a\n" + bytes(140), b"II*\0" + bytes(140), bytes(144), b"\x08\x00text, not tags"):
        assert not Dicom().recognises(other)
    path = save(dataset(STORED, SC), tmp_path / "scan.png")  # a name that lies
    assert next(decode(path.read_bytes(), "scan")).shape == (2, 3, 1)
    assert next(decode(bare, "bare")).shape == (2, 3, 1)


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seg_runtime.support.imports.find_spec", lambda name: None)
    with pytest.raises(
        SegError, match=r"pydicom is not installed. Install the extra 'dicom': pip install 'seg-edge\[dicom\]'"
    ):
        next(decode(content(dataset(STORED, SC)), "image"))
