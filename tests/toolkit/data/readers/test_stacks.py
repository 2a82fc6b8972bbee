from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from seg_runtime.support.errors import DataError, SegError
from seg_toolkit.data import ClassValues

from tests.support.folders import cases_of
from tests.support.places import REAL

STACK = REAL / "em_isbi2012"

CLASSES = ClassValues.parse("membrane=0,cell=255")


def stack(path: Path, *pages: int) -> None:
    """Pages of 4×6 px whose first pixel is their value."""
    made = []
    for value in pages:
        page = np.zeros((4, 6), np.uint8)
        page[0, 0] = value
        made.append(Image.fromarray(page))
    made[0].save(path, save_all=True, append_images=made[1:])


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    stack(tmp_path / "train-volume.tif", *range(100, 112))
    stack(tmp_path / "train-labels.tif", *[255, 0] * 6)
    stack(tmp_path / "test-volume.tif", 1, 2)
    return tmp_path


def test_pages_are_cases_each_with_its_own_labels(challenge: Path) -> None:
    cases = cases_of("isbi2012", challenge, print)
    assert [c.name for c in cases] == [f"page{n:02}" for n in range(12)]
    for number, case in enumerate(cases):
        example = case.read(CLASSES)
        assert example.image[0, 0, 0] == 100 + number
        assert example.labels[0, 0] == (number + 1) % 2
        assert example.image.shape == (4, 6, 1)
    assert set(cases[0].values()) == {0, 255}
    assert set(cases[1].values()) == {0}


def test_a_page_is_read_without_those_before_it(challenge: Path) -> None:
    """Long stacks would take the square of their length: page 4 is damaged, and page 9 does not know it."""
    pages = [Image.fromarray(np.full((40, 60), value, np.uint8)) for value in range(12)]
    pages[0].save(challenge / "train-volume.tif", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    with Image.open(challenge / "train-volume.tif") as volume:
        volume.seek(3)
        (place,), (count,) = volume.tag_v2[273], volume.tag_v2[279]  # of its one strip
    content = bytearray((challenge / "train-volume.tif").read_bytes())
    content[place : place + count] = bytes(count)
    (challenge / "train-volume.tif").write_bytes(content)
    cases = cases_of("isbi2012", challenge, print)
    assert (cases[8].image() == 8).all()
    with pytest.raises(SegError, match="damaged"):
        cases[3].image()
    assert (cases[8].image() == 8).all()


def test_a_stack_that_is_written_anew_is_read_anew(challenge: Path) -> None:
    case = cases_of("isbi2012", challenge, print)[11]
    stack(challenge / "train-volume.tif", *range(50, 63))
    assert case.image()[0, 0, 0] == 61
    stack(challenge / "train-volume.tif", 1, 2)
    with pytest.raises(DataError, match="no longer has page 12"):
        case.image()


def test_stray_values_name_the_page(challenge: Path) -> None:
    stack(challenge / "train-labels.tif", *[255] * 11, 7)
    with pytest.raises(DataError, match=r"page 12 contains the value 7"):
        cases_of("isbi2012", challenge, print)[11].read(CLASSES)


def test_stacks_of_other_lengths_are_refused(challenge: Path) -> None:
    stack(challenge / "train-labels.tif", 0, 255)
    with pytest.raises(DataError, match=r"12 pages, train-labels\.tif 2"):
        cases_of("isbi2012", challenge, print)


def test_a_missing_or_damaged_stack_is_refused(challenge: Path) -> None:
    (challenge / "train-labels.tif").write_bytes(b"II*\0")
    with pytest.raises(SegError, match=r"train-labels\.tif"):
        cases_of("isbi2012", challenge, print)
    (challenge / "train-labels.tif").unlink()
    with pytest.raises(DataError, match=r"has no train-labels\.tif"):
        cases_of("isbi2012", challenge, print)


@pytest.mark.skipif(not STACK.is_dir(), reason=f"the real images are not at {STACK}")
def test_real_sections_are_the_same_as_pages_and_as_pairs(tmp_path: Path) -> None:
    pairs = cases_of("pairs", STACK, print)[:3]
    for part, file in (("images", "train-volume.tif"), ("masks", "train-labels.tif")):
        first, *more = [Image.open(STACK / part / f"{case.name}.png") for case in pairs]
        first.save(tmp_path / file, save_all=True, append_images=more, compression="tiff_adobe_deflate")
    for case, page in zip(pairs, cases_of("isbi2012", tmp_path, print), strict=True):
        one, two = case.read(CLASSES), page.read(CLASSES)
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.labels, two.labels)


def test_pages_have_the_pixel_size_of_the_stack(challenge: Path) -> None:
    pages = np.zeros((12, 4, 6), np.uint8)
    stated = {"unit": "um", "spacing": 1.5, "axes": "ZYX"}
    tifffile.imwrite(challenge / "train-volume.tif", pages, imagej=True, resolution=(4, 5), metadata=stated)
    cases = cases_of("isbi2012", challenge, print)
    for case in cases:
        assert case.acquisition().spacing_mm == pytest.approx((0.2e-3, 0.25e-3))
