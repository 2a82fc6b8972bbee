from __future__ import annotations

import numpy as np
import pytest
from seg_runtime import ClassInfo
from seg_runtime.pipeline.geometry import frame, frame_labels, framed_shape, unframe

from tests.support.contracts import contract

TWO = (ClassInfo("ground", (0, 0, 0)), ClassInfo("cell", (255, 0, 0)))


@pytest.mark.parametrize(
    ("geometry", "wanted"),
    [("tile", (1000, 500)), ("fit", (388, 194)), ("stretch", (572, 572))],
)
def test_framed_shape(geometry: str, wanted: tuple[int, int]) -> None:
    assert framed_shape((1000, 500), contract(572, method=geometry)) == wanted


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (388, 388), (389, 389), (7, 3)])
def test_fit_stays_inside_one_output_window_and_touches_it(shape: tuple[int, int]) -> None:
    framed = framed_shape(shape, contract(572, method="fit"))
    assert max(framed) == 388
    assert min(framed) >= 1


def test_tile_changes_nothing() -> None:
    image = np.zeros((10, 10, 1), np.uint8)
    assert frame(image, contract(572, method="tile")) is image


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_resizing_keeps_dtype_and_a_constant(dtype: str) -> None:
    framed = frame(np.full((30, 20, 3), 200, dtype), contract(572, method="fit"))
    assert framed.dtype == dtype
    assert framed.shape == (388, 259, 3)
    assert (framed == 200).all()


def test_16_bits_do_not_wrap_at_a_sharp_edge() -> None:
    image = np.zeros((40, 40, 1), np.uint16)
    image[:, 20:] = 65535  # bicubic overshoots on both sides
    framed = frame(image, contract(572, method="fit"))[200, :, 0].astype(int)
    assert framed[:150].max() < 100
    assert framed[240:].min() > 65400


def test_nearest_takes_pixel_centres() -> None:
    row = np.array([[10, 20, 30]])
    assert unframe(row, (1, 6)).tolist() == [[10, 10, 20, 20, 30, 30]]
    assert unframe(row, (1, 1)).tolist() == [[20]]
    assert unframe(np.arange(6)[None], (1, 2)).tolist() == [[1, 4]]


def test_nearest_leaves_leading_axes_alone() -> None:
    assert unframe(np.arange(8).reshape(2, 2, 2), (1, 1)).ravel().tolist() == [3, 7]


def test_unframe_comes_back_to_the_images_own_size() -> None:
    assert unframe(np.zeros((2, 388, 194)), (1000, 500)).shape == (2, 1000, 500)


def test_labels_are_framed_without_new_values() -> None:
    labels = np.array([[0, 7], [200, 0]], np.uint8)
    framed = frame_labels(labels, contract(572, method="fit"))
    assert framed.shape == (388, 388)
    assert [framed[y, x] for y, x in [(0, 0), (0, 387), (387, 0), (193, 194)]] == [0, 7, 200, 7]
    assert set(framed.ravel().tolist()) == {0, 7, 200}


def test_image_and_labels_stay_in_place() -> None:
    labels = np.zeros((100, 60), np.uint8)
    labels[20:70, 10:40] = 1
    for geometry in ("fit", "stretch"):
        image = frame((labels * 255)[..., None], contract(572, method=geometry))[..., 0] > 127
        assert (image != frame_labels(labels, contract(572, method=geometry)).astype(bool)).mean() < 0.005
