from __future__ import annotations

import numpy as np
import pytest
from seg_runtime import ImageError
from seg_runtime.formats import Page

PAGE = Page(np.zeros((5, 6, 1), np.uint8), "a.png")


@pytest.mark.parametrize(
    "spacing_mm", [(-0.001,), (0.0,), (float("nan"),), (0.001, float("inf")), (0.001, -0.001), (1e9,)]
)
def test_a_pixel_cannot_have_any_size(spacing_mm: tuple[float, ...]) -> None:
    with pytest.raises(ImageError, match=r"the pixel size of a\.png is .*, which cannot be; expected sides in mm"):
        PAGE.with_spacing(spacing_mm)


def test_one_side_is_that_of_all_axes() -> None:
    assert PAGE.with_spacing((0.5,)).place.spacing_mm == (0.5, 0.5)
    with pytest.raises(ImageError, match="has 2 axes, but the pixel size has 3"):
        PAGE.with_spacing((0.5, 0.5, 0.5))
