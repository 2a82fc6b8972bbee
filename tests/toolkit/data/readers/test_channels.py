from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from seg_runtime.support.errors import DataError, ImageError, SegError
from seg_toolkit.checkpoints import load
from seg_toolkit.data import ClassValues

from tests.support.commands import ok, seg_train
from tests.support.contracts import channel_files
from tests.support.folders import SMALL, cases_of
from tests.support.images import disc, put

READER = "channels:files=_dapi+_actin"
CLASSES = ClassValues.parse("background=0,cell=255")


@pytest.fixture
def fields(tmp_path: Path) -> Path:
    for number in range(3):
        put(tmp_path / "images" / f"f{number}_dapi.tif", np.full((40, 40), 100 + number, np.uint16))
        put(tmp_path / "images" / f"f{number}_actin.tif", disc().astype(np.uint16) * 200)
        put(tmp_path / "masks" / f"f{number}.png", disc())
    return tmp_path


def test_files_of_a_case_are_channels_in_order(fields: Path) -> None:
    cases = cases_of(READER, fields, print)
    assert [c.name for c in cases] == ["f0", "f1", "f2"]
    image = cases[1].read(CLASSES).image
    assert (image.shape, image.dtype) == ((40, 40, 2), np.uint16)
    assert (image[..., 0] == 101).all()
    np.testing.assert_array_equal(image[..., 1], disc().astype(np.uint16) * 200)
    assert cases_of("channels:files=_actin+_dapi", fields, print)[1].image()[0, 0].tolist() == [0, 101]


def test_the_contract_says_how_the_files_are_named(fields: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.pt"
    words = [fields, *SMALL, "--reader", READER, "--steps", "1", "-o", out]
    ok(seg_train(*words))
    contract = load(out).contract
    assert (contract.input.channels, contract.input.channel_files) == (2, channel_files("_dapi", "_actin"))


def test_another_number_of_channels_is_refused(fields: Path, tmp_path: Path) -> None:
    words = [fields, *SMALL, "--reader", READER, "--steps", "1", "-o", tmp_path / "m.pt"]
    told = seg_train(*words, "--channels", "3")
    assert told.exit_code == 1
    assert "--channels is 3, but each case has 2 files: _dapi, _actin" in told.stderr
    assert "Use --channels 2" in told.stderr
    assert (
        "--channels is 4, but each case has 2 files"
        in seg_train(*words, "--recipe", "brain-tumour", "--network", "unet").stderr
    )
    ok(seg_train(*words, "--channels", "2"))


def test_three_equal_channels_stay_three(fields: Path, tmp_path: Path) -> None:
    for number in range(3):
        for name in ("actin", "tubulin"):
            put(fields / "images" / f"f{number}_{name}.tif", np.full((40, 40), 100 + number, np.uint16))
    out = tmp_path / "m.pt"
    words = [fields, *SMALL, "--reader", f"{READER}+_tubulin", "--steps", "1", "--intensity", "scale", "-o", out]
    ok(seg_train(*words))
    assert load(out).contract.input.channels == 3


def test_a_missing_channel_is_named(fields: Path) -> None:
    (fields / "images" / "f1_actin.tif").unlink()
    with pytest.raises(ImageError, match="f1 lacks the channel _actin"):
        cases_of(READER, fields, print)


def test_masks_and_cases_that_do_not_match_are_told(fields: Path) -> None:
    (fields / "masks" / "f1.png").rename(fields / "masks" / "g1.png")
    told: list[str] = []
    assert [c.name for c in cases_of(READER, fields, told.append)] == ["f0", "f2"]
    assert "f1" in told[0]
    assert "g1" in told[1]


@pytest.mark.parametrize(
    "options", ["", ":files=_dapi", ":files=_dapi+_dapi", ":files=_dapi+", ":files=_dapi+_actin*2"]
)
def test_endings_that_name_no_channels_are_refused(fields: Path, options: str) -> None:
    with pytest.raises(SegError, match="each once"):
        cases_of(f"channels{options}", fields, print)


def test_another_layout_is_refused(fields: Path) -> None:
    (fields / "masks").rename(fields / "labels")
    with pytest.raises(DataError, match="no folder masks"):
        cases_of(READER, fields, print)


def test_channels_of_different_pixel_sizes_are_refused(fields: Path) -> None:
    for ending, side_um in (("dapi", 0.5), ("actin", 1.0)):
        resolution = (1e4 / side_um, 1e4 / side_um)
        plane = np.zeros((40, 40), np.uint16)
        tifffile.imwrite(
            fields / "images" / f"f0_{ending}.tif", plane, resolution=resolution, resolutionunit="CENTIMETER"
        )
    with pytest.raises(ImageError, match=r"f0_actin.tif has pixels of 1 µm, f0_dapi.tif of 0.5 µm"):
        cases_of(READER, fields, print)[0].acquisition()
