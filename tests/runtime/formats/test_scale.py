"""The size of a pixel from what pictures state, and resolutions that are no measurement."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from seg_runtime.formats import FORMATS, ReadOptions
from seg_runtime.formats.pictures import opened
from seg_runtime.formats.scale import Scale
from seg_runtime.support import millimetres

GREY = np.zeros((20, 30), np.uint8)
STACK = np.zeros((3, 20, 30), np.uint8)
UM = 1e-3


def tiff(array: Any = GREY, **settings: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **settings)
    return file.getvalue()


def picture(kind: str, dpi: float | None, **settings: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, kind, **({"dpi": (dpi, dpi)} if dpi else {}), **settings)
    return file.getvalue()


def scale(data: bytes) -> Scale:
    return opened(data, "a").scale


def ome(**sizes: Any) -> bytes:
    return tiff(
        STACK, metadata={"axes": "ZYX", **{f"PhysicalSize{key}": value for key, value in sizes.items()}}, ome=True
    )


def jpeg_per_cm(count: int) -> bytes:
    """A JPEG file whose header has px per cm, which Pillow does not write."""
    data = bytearray(picture("JPEG", 300))
    data[13:18] = bytes([2, *count.to_bytes(2, "big"), *count.to_bytes(2, "big")])
    return bytes(data)


def lsm() -> bytes:
    """A file of a Zeiss LSM microscope: its own header, and a small picture as second page."""
    stated = {
        "MagicNumber": 0x400494C, "StructureSize": 380, "DimensionX": 30, "DimensionY": 20, "DimensionZ": 1,
        "DimensionChannels": 1, "DimensionTime": 1, "DataType": 1, "VoxelSizeX": 2.5e-7, "VoxelSizeY": 5e-7, "VoxelSizeZ": 2e-6,
    }  # fmt: skip
    header = b"".join(np.array(stated.get(name, 0), f"<{kind}").tobytes() for name, kind in tifffile.TIFF.CZ_LSMINFO)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(GREY, extratags=[(34412, "B", len(header), header, True)], metadata=None)
        writer.write(np.zeros((5, 8, 3), np.uint8), photometric="rgb", subfiletype=1, metadata=None)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "sides_um"),
    [
        (tiff(resolution=(40_000, 20_000), resolutionunit="CENTIMETER"), (0.5, 0.25)),
        (tiff(resolution=(101_600, 101_600), resolutionunit="INCH"), (0.25, 0.25)),
        (tiff(STACK, imagej=True, resolution=(4, 5), metadata={"unit": "um", "spacing": 1.5, "axes": "ZYX"}), (1.5, 0.2, 0.25)),
        (tiff(imagej=True, resolution=(4, 4), metadata={"unit": "micron"}), (0.25, 0.25)),
        (tiff(imagej=True, resolution=(4, 4), metadata={"unit": "\\u00B5m"}), (0.25, 0.25)),
        (tiff(imagej=True, resolution=(0.01, 0.01), metadata={"unit": "nm"}), (0.1, 0.1)),
        (tiff(STACK, imagej=True, resolution=(4, 5), metadata={"unit": "um", "yunit": "nm", "zunit": "mm", "spacing": 0.002, "axes": "ZYX"}), (2, 0.0002, 0.25)),
        (tiff(STACK, imagej=True, resolution=(4, 5), metadata={"unit": "um", "zunit": "pixel", "spacing": 3, "axes": "ZYX"}), (0.2, 0.25)),
        (tiff(imagej=True, resolution=(40_000, 40_000), resolutionunit="CENTIMETER", metadata={"unit": "cm"}), (0.25, 0.25)),
        (tiff(extratags=[(34118, "s", 0, "0.0\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 250.0 nm\r\n", True)]), (0.25, 0.25)),
        (tiff(extratags=[(34682, "s", 0, "[Scan]\nPixelWidth=2.5e-007\nPixelHeight=5e-007\n", True)]), (0.5, 0.25)),
        (lsm(), (2, 0.5, 0.25)),
        (ome(X=0.25, Y=0.5, Z=2), (2, 0.5, 0.25)),
        (ome(X=250, XUnit="nm", Y=0.0005, YUnit="mm"), (0.5, 0.25)),
        (tiff(description="Aperio Image Library v1\n30x20 |AppMag = 20|MPP = 0.499"), (0.499, 0.499)),
        (picture("PNG", 101_600), (0.25, 0.25)),
        (picture("BMP", 101_600), (0.25, 0.25)),
        (picture("JPEG", 12_700), (2, 2)),
        (tiff(resolution=(100, 50), resolutionunit="CENTIMETER"), (200, 100)),
        (tiff(resolution=(254, 254), resolutionunit="INCH"), (100, 100)),
        (tiff(resolution=(1270, 1270), resolutionunit="INCH"), (20, 20)),
        (picture("PNG", 254), (100, 100)),
        (jpeg_per_cm(100), (100, 100)),
    ],
)  # fmt: skip
def test_a_measured_size(data: bytes, sides_um: tuple[float, ...]) -> None:
    found = scale(data)
    assert found.spacing_mm == pytest.approx([side * UM for side in sides_um], rel=1e-4)
    assert not found.doubt


@pytest.mark.parametrize(
    ("data", "doubt"),
    [
        (picture("PNG", 72), "72 dpi"),
        (picture("PNG", 96), "96 dpi"),
        (picture("JPEG", 300), "300 dpi"),
        (picture("TIFF", 72), "72 dpi"),
        (tiff(resolution=(1, 1), resolutionunit="CENTIMETER"), "1 px per unit"),
        (tiff(imagej=True, resolution=(72, 72), metadata={"unit": "inch"}), "72 dpi"),
        (ome(X=1e9, Y=1e9), "which cannot be"),
        (ome(X=0.25, Y=0.25, Z=-1), "a pixel of -1 µm × 0.25 µm × 0.25 µm, which cannot be"),
        *(
            (tiff(resolution=(dpi, dpi), resolutionunit="INCH"), f"{dpi} dpi")
            for dpi in (80, 500, 800, 1000, 2400, 4800)
        ),
        (picture("PNG", 500), "500 dpi"),
        (picture("BMP", 1000), "1000 dpi"),
        *(
            (tiff(resolution=(cm, cm), resolutionunit="CENTIMETER"), f"{dpi} dpi")
            for cm, dpi in ((28, 72), (28.346, 72), (38, 96), (59.06, 150), (118, 300), (236, 600))
        ),
        (jpeg_per_cm(28), "72 dpi"),
        (tiff(resolution=(1e-9, 1e-9), resolutionunit="CENTIMETER"), ""),
    ],
)
def test_numbers_that_are_no_measurement_say_so(data: bytes, doubt: str) -> None:
    found = scale(data)
    assert found.spacing_mm == ()
    assert doubt in found.doubt


@pytest.mark.parametrize(
    "data",
    [
        picture("PNG", None), picture("WEBP", None), tiff(), tiff(resolution=(4, 4), resolutionunit="NONE"),
        tiff(resolution=(0, 0), resolutionunit="INCH"), tiff(imagej=True, resolution=(4, 4), metadata={"unit": "pixel"}),
        ome(), ome(X=0.25), ome(X=0.25, XUnit="pixel", Y=0.25, YUnit="pixel"), ome(X=-1, Y=-1),
        tiff(description="<OME xmlns='x'><Image><Pixels PhysicalSizeX='nan' PhysicalSizeY='x'/></Image></OME>"),
    ],
)  # fmt: skip
def test_an_unknown_size(data: bytes) -> None:
    assert scale(data) == Scale()


def test_a_turned_picture_has_turned_sides() -> None:
    data = tiff(resolution=(40_000, 20_000), resolutionunit="CENTIMETER", extratags=[(274, "H", 1, 6, True)])
    assert scale(data).spacing_mm == pytest.approx((0.25 * UM, 0.5 * UM))


@pytest.mark.parametrize(("axes", "sides_um"), [(2, (0.2, 0.25)), (3, (1.5, 0.2, 0.25))])
def test_a_page_has_its_size_in_space(axes: int, sides_um: tuple[float, ...]) -> None:
    data = tiff(STACK, imagej=True, resolution=(4, 5), metadata={"unit": "um", "spacing": 1.5, "axes": "ZYX"})
    page = next(FORMATS.of(data, "a.tif").read(data, "a.tif", ReadOptions(axes=axes)))
    expected = pytest.approx([side * UM for side in sides_um])
    assert page.acquisition.spacing_mm == expected
    assert page.place.spacing_mm == expected


def test_the_slices_of_a_stack_may_have_an_unknown_distance() -> None:
    data = tiff(STACK, resolution=(40_000, 40_000), resolutionunit="CENTIMETER", photometric="minisblack")
    page = next(FORMATS.of(data, "a.tif").read(data, "a.tif", ReadOptions(axes=3)))
    assert page.acquisition.spacing_mm == pytest.approx((0.25 * UM, 0.25 * UM))
    assert page.place.spacing_mm is None


@pytest.mark.parametrize("unit", ["px", "pixel", "", "furlong"])
def test_other_units_are_no_length(unit: str) -> None:
    assert millimetres(unit) is None
