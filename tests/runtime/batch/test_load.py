"""Channels of a case: their sizes of a pixel must agree, and the image keeps the finest one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from seg_runtime import ImageError
from seg_runtime.batch.load import Content
from seg_runtime.formats import FORMATS, Page, Source

from tests.support.contracts import channel_files, contract

UM = 1e-3


def joined(
    folder: Path, sides_um: tuple[float | None, float | None], factor: int = 1, given_mm: tuple[float, ...] = ()
) -> Page:
    """A case of two files, of which the first may be coarser, read as seg-run does."""
    for name, side, part in (("a", sides_um[0], factor), ("b", sides_um[1], 1)):
        stated = {} if side is None else {"resolution": (1e4 / side, 1e4 / side), "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(folder / f"c_{name}.tif", np.zeros((24 // part, 32 // part), np.uint8), **stated)
    files = channel_files(f"_a*{factor}" if factor > 1 else "_a", "_b")
    paths = (folder / "c_a.tif", folder / "c_b.tif")
    source = Source(paths[0], Path("c"), paths, FORMATS.get("picture"), channel_files=files)
    made = contract(252, channels=2, channel_files=files)
    [page] = Content(source).load(made, 10**6, given_mm).pages
    return page


@pytest.mark.parametrize(
    ("sides_um", "factor", "side_um"),
    [((0.5, 0.5), 1, 0.5), ((0.5, 0.5001), 1, 0.5), ((2.0, 0.5), 4, 0.5), ((0.5, None), 1, 0.5), ((None, 0.5), 4, 0.5)],
)
def test_a_case_has_the_pixels_of_its_finest_channel(
    tmp_path: Path, sides_um: tuple[float | None, float | None], factor: int, side_um: float
) -> None:
    page = joined(tmp_path, sides_um, factor)
    assert page.array.shape == (24, 32, 2)
    assert page.acquisition.spacing_mm == page.place.spacing_mm == pytest.approx((side_um * UM,) * 2)


@pytest.mark.parametrize(
    ("sides_um", "factor", "problem"),
    [
        ((0.25, 1.0), 1, "c_b.tif has pixels of 1 µm, c_a.tif of 0.25 µm; expected pixels of one size"),
        ((0.5, 0.5), 4, "c_b.tif has pixels of 0.5 µm, c_a.tif of 0.5 µm; expected pixels whose sides are as 1 to 4"),
    ],
)
def test_channels_of_different_sizes_are_refused_unless_a_size_is_given(
    tmp_path: Path, sides_um: tuple[float, float], factor: int, problem: str
) -> None:
    with pytest.raises(ImageError, match=problem):
        joined(tmp_path, sides_um, factor)
    page = joined(tmp_path, sides_um, factor, (0.3 * UM,))
    assert page.acquisition.spacing_mm == page.place.spacing_mm == pytest.approx((0.3 * UM,) * 2)
