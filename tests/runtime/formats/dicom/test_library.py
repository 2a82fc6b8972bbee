"""What the libraries lack or raise is not a fault of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from seg_runtime.formats.dicom.library import discreet
from seg_runtime.formats.dicom.read import decode_dicom
from seg_runtime.support import ImageError, SegError

from tests.support.dicom import SC, dataset, save

PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
VALUES = np.linspace(-3, 5, 24, dtype=np.float32).reshape(4, 6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_parametric_map_has_floats_and_no_bits_stored(tmp_path: Path, dtype: str) -> None:
    words = {"float32": "FloatPixelData", "float64": "DoubleFloatPixelData"}
    it = dataset(VALUES.astype(np.int16), PARAMETRIC_MAP, PixelData=None, BitsStored=None, HighBit=None)
    it.BitsAllocated = np.dtype(dtype).itemsize * 8
    del it.PixelRepresentation
    setattr(it, words[dtype], VALUES.astype(dtype).tobytes())
    data = save(it, tmp_path / "map.dcm").read_bytes()
    ((page, _),) = decode_dicom(data, "map.dcm", 1000)
    np.testing.assert_array_equal(page[..., 0], VALUES)


def test_12_bit_jpeg_needs_a_package_and_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import imagecodecs
    import pydicom.pixels
    from pydicom.encaps import encapsulate

    grey = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    it = dataset(grey, SC, BitsStored=12, HighBit=11)
    it.PixelData = encapsulate([imagecodecs.jpeg_encode(grey, bitspersample=12, level=100)])
    it["PixelData"].is_undefined_length = True
    it.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.51"
    path = save(it, tmp_path / "a.dcm")
    ((page, _),) = decode_dicom(path.read_bytes(), "a.dcm", 10_000)
    assert np.abs(page[..., 0] - grey).max() < 40
    decoder = pydicom.pixels.get_decoder(it.file_meta.TransferSyntaxUID)
    monkeypatch.delitem(decoder._available, "pylibjpeg")  # as where pylibjpeg-libjpeg is not installed
    with pytest.raises(ImageError, match=r"JPEG Extended .* with 12 bits, which no installed package can decode"):
        list(decode_dicom(path.read_bytes(), "a.dcm", 10_000))


def test_a_missing_file_of_a_library_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(SegError, match=r"incomplete: table\.json is missing") as error, discreet("a.dcm"):
        (tmp_path / "table.json").read_text()
    assert "a.dcm" not in str(error.value)
    assert "a frozen program must include their data files" in str(error.value)
    with pytest.raises(SegError, match="incomplete: no_such_module is missing"), discreet("a.dcm"):
        __import__("no_such_module")


def test_an_error_of_a_library_blames_the_file_only_when_it_is_read() -> None:
    with pytest.raises(ImageError, match=r"a\.dcm cannot be read, as if it were damaged") as error, discreet("a.dcm"):
        raise KeyError("Quirin")
    assert "if other programs read it without a warning, report the problem" in str(error.value)
    doing = "no DICOM SEG can be made for"
    with (
        pytest.raises(ImageError, match=r"made for a\.dcm \(KeyError in a library\)") as error,
        discreet("a.dcm", doing),
    ):
        raise KeyError("Quirin")
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_jpeg_stream_that_ends_early_is_not_filled_with_invented_values(
    tmp_path: Path, syntax: str, share: float
) -> None:
    import imagecodecs
    from pydicom.encaps import encapsulate

    grey = np.random.default_rng(1).integers(0, 256, (64, 48), dtype=np.uint8)
    encode = {"80": imagecodecs.jpegls_encode, "50": imagecodecs.jpeg8_encode, "70": imagecodecs.ljpeg_encode}[
        syntax[-2:]
    ]
    stream = encode(grey)
    for cut in (stream, stream[: int(share * len(stream))]):
        it = dataset(grey, SC)
        it.PixelData = encapsulate([cut])
        it["PixelData"].is_undefined_length = True
        it.file_meta.TransferSyntaxUID = syntax
        data = save(it, tmp_path / "a.dcm").read_bytes()
        if cut is stream:
            assert len(list(decode_dicom(data, "a.dcm", 10_000))) == 1
        else:
            with pytest.raises(ImageError, match=r"a\.dcm cannot be read"):
                list(decode_dicom(data, "a.dcm", 10_000))
