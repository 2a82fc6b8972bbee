"""The policy of a model: what training learns, what is refused, and what gets a warning."""

from __future__ import annotations

from dataclasses import replace

import pytest
from seg_runtime.model import Acquisition, Policy

from tests.support.policies import CT_STORAGE, FOR_CT, MR_STORAGE

SLICE = Acquisition("CT", CT_STORAGE, "axial", "HU", (1.0, 1.0))


def test_it_learns_what_the_training_images_state() -> None:
    other = replace(SLICE, orientation="coronal", spacing_mm=(0.5, 0.8))
    learnt = Policy.learnt([SLICE, other, SLICE], None, 2)
    assert (learnt.modalities, learnt.orientations, learnt.unit) == (("CT",), ("axial", "coronal"), "HU")
    assert learnt.trained_spacing_mm == ((0.5, 1.0), (0.8, 1.0))
    assert learnt.spacing_mm == ((0.25, 2.0), (0.4, 2.0))
    assert learnt.sop_classes == (CT_STORAGE, f"{CT_STORAGE}.1", f"{CT_STORAGE}.2")  # one slice a file, or all
    assert not learnt.refusals(SLICE, integer=False)
    assert learnt.described() == "CT, axial or coronal, HU, 0.5 to 1 mm"


def test_it_learns_nothing_from_images_that_state_nothing() -> None:
    assert Policy.learnt([Acquisition(), Acquisition()], None, 2) == Policy()
    assert Policy().described() == ""
    assert Policy.learnt([SLICE, Acquisition()], None, 2).unit == ""  # not all values are in the unit
    assert not Policy().refusals(SLICE, integer=False)
    assert not Policy().warnings(SLICE)


def test_a_volume_is_compared_on_the_axes_of_the_window() -> None:
    volume = Acquisition(spacing_mm=(5.0, 0.7, 0.8))
    assert Policy.learnt([volume], None, 3).trained_spacing_mm == ((5.0, 5.0), (0.7, 0.7), (0.8, 0.8))
    assert Policy.learnt([volume], None, 2).trained_spacing_mm == ((0.7, 0.7), (0.8, 0.8))
    assert not Policy.learnt([SLICE], None, 2).refusals(replace(SLICE, spacing_mm=(9.0, 1.0, 1.0)), integer=False)


@pytest.mark.parametrize(
    ("image", "found"),
    [
        (replace(SLICE, modality="MR", sop_class=MR_STORAGE), ["modality MR instead of CT"]),
        (replace(SLICE, sop_class=MR_STORAGE), [f"SOP class {MR_STORAGE} instead of {CT_STORAGE}"]),
        (replace(SLICE, orientation="coronal"), ["orientation coronal instead of axial"]),
        (replace(SLICE, unit="BQML"), ["grey values in BQML instead of HU"]),
        (replace(SLICE, unit=""), ["grey values without a unit instead of HU"]),
        (replace(SLICE, spacing_mm=(1.0, 2.2)), ["a pixel spacing of 2.2 mm instead of 0.5 to 2 mm"]),
        (replace(SLICE, spacing_mm=(0.49, 1.0)), ["a pixel spacing of 0.49 mm instead of 0.5 to 2 mm"]),
        (replace(SLICE, modality="", sop_class="", orientation="", spacing_mm=()), []),
        (replace(SLICE, spacing_mm=(2.0, 0.5)), []),
    ],
)
def test_what_is_outside_is_named(image: Acquisition, found: list[str]) -> None:
    assert FOR_CT.refusals(image, integer=False) == found


def test_integers_are_not_in_a_unit() -> None:
    assert FOR_CT.refusals(Acquisition(), integer=True) == ["grey values without a unit instead of HU"]
    assert FOR_CT.refusals(Acquisition(), integer=False) == []  # a volume of floats may be in HU


@pytest.mark.parametrize(("side", "warned"), [(1.0, False), (1.09, False), (1.2, True), (0.95, False), (0.5, True)])
def test_a_spacing_unlike_the_training_gets_a_warning(side: float, warned: bool) -> None:
    found = FOR_CT.warnings(replace(SLICE, spacing_mm=(side, 1.0)))
    assert found == ([f"a pixel spacing of {side} mm instead of 1 mm of the training images"] if warned else [])


def test_an_image_that_states_no_modality_gets_a_warning() -> None:
    image = Acquisition(spacing_mm=(1.0, 1.0))
    assert FOR_CT.warnings(image) == ["no stated modality, while the training images are CT"]


@pytest.mark.parametrize(("doubt", "why"), [("", ""), ("72 dpi, as programs write", " (72 dpi, as programs write)")])
def test_an_image_of_unknown_pixel_size_gets_a_warning(doubt: str, why: str) -> None:
    image = replace(SLICE, spacing_mm=(), spacing_doubt=doubt)
    assert FOR_CT.warnings(image) == [f"no stated pixel size{why}, while that of the training images is 1 mm"]
    assert not Policy().warnings(image)


def test_an_unknown_distance_of_slices_gets_a_warning() -> None:
    volumes = Policy(trained_spacing_mm=((2.5, 2.5), (0.7, 0.7), (0.7, 0.7)))
    found = volumes.warnings(Acquisition(spacing_mm=(0.7, 0.7)))
    assert found == ["no stated distance of slices, while that of the training images is 2.5 mm"]
