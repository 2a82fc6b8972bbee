from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_runtime.model.answer import ClassInfo
from seg_runtime.support.errors import DataError, SegError
from seg_toolkit.data.folder import (
    FolderCase,
    default_color,
    find_cases,
    infer_classes,
    json_values,
    mask_values,
    parse_classes,
    read_image,
    read_mask,
    stored_classes,
    to_labels,
)

from tests.support.folders import TWO, write_pairs
from tests.support.images import disc, put

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
TRANSPOSED = {0x0112: 6}  # EXIF: turn by 90° clockwise to stand upright


def silent(line: str) -> None:
    raise AssertionError(line)


def names(root: Path, told: list[str] | None = None) -> list[str]:
    return [c.name for c in find_cases(root, silent if told is None else told.append)]


def test_images_and_masks_are_matched_by_name(tmp_path: Path) -> None:
    first = find_cases(write_pairs(tmp_path), silent)[0]
    assert first == FolderCase("a0", tmp_path / "images" / "a0.png", tmp_path / "masks" / "a0.png", None)


def test_image_and_mask_may_have_different_formats(tmp_path: Path) -> None:
    put(tmp_path / "images" / "x.jpeg", disc())
    put(tmp_path / "masks" / "x.TIF", disc())
    assert names(tmp_path) == ["x"]


def test_unmatched_images_and_masks_are_reported(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    put(tmp_path / "images" / "lonely.png", disc())
    put(tmp_path / "masks" / "widow.png", disc())
    told: list[str] = []
    assert names(tmp_path, told) == ["a0", "a1", "a2"]
    assert len(told) == 2
    assert "lonely" in told[0]
    assert "images" in told[0]
    assert "widow" in told[1]
    assert "masks" in told[1]


def test_instances_without_an_image_are_reported(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    for name in ("a0", "a1", "a2", "stray"):
        put(tmp_path / "instances" / f"{name}.png", disc().astype(np.uint16))
    told: list[str] = []
    names(tmp_path, told)
    assert any("stray" in line for line in told)


def test_other_files_and_hidden_ones_are_no_images(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (tmp_path / "images" / "notes.txt").write_text("x")
    (tmp_path / "images" / ".a0.png").write_bytes(b"x")
    assert names(tmp_path) == ["a0", "a1", "a2"]


def test_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no folder images"):
        find_cases(tmp_path, silent)


def test_folder_without_truth(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.png", disc())
    with pytest.raises(DataError, match="neither masks nor instances"):
        find_cases(tmp_path, silent)


def test_empty_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    put(tmp_path / "masks" / "a.png", disc())
    with pytest.raises(DataError, match="has no images"):
        find_cases(tmp_path, silent)


def test_nothing_matches(tmp_path: Path) -> None:
    put(tmp_path / "images" / "a.png", disc())
    put(tmp_path / "masks" / "b.png", disc())
    with pytest.raises(DataError, match="no image"):
        find_cases(tmp_path, lambda line: None)


def test_two_files_of_one_name(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    put(tmp_path / "images" / "a1.bmp", disc())
    with pytest.raises(DataError, match=r"a1\.bmp|a1\.png"):
        find_cases(tmp_path, silent)


def test_missing_instances_are_named(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    put(tmp_path / "instances" / "a0.png", disc())
    with pytest.raises(DataError, match="a1"):
        find_cases(tmp_path, silent)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_image_formats_lose_nothing(tmp_path: Path, suffix: str) -> None:
    np.testing.assert_array_equal(read_image(put(tmp_path / f"a.{suffix}", COLOURS)), COLOURS)


def test_jpeg_image(tmp_path: Path) -> None:
    read = read_image(put(tmp_path / "a.jpg", np.full((8, 9, 3), 90, np.uint8)))
    np.testing.assert_allclose(read, np.full((8, 9, 3), 90), atol=2)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_image_keeps_its_bits(tmp_path: Path, suffix: str) -> None:
    values = np.array([[0, 258], [40_000, 65_535]], np.uint16)
    read = read_image(put(tmp_path / f"a.{suffix}", values))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read[..., 0], values)


def test_rgba_image_keeps_its_alpha(tmp_path: Path) -> None:
    rgba = np.dstack([COLOURS, COLOURS[..., 0]])
    np.testing.assert_array_equal(read_image(put(tmp_path / "a.png", rgba)), rgba)


def test_stack_is_refused(tmp_path: Path) -> None:
    page = Image.fromarray(disc())
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    with pytest.raises(DataError, match="several pages"):
        read_image(tmp_path / "a.tif")


def test_stack_of_masks_is_refused(tmp_path: Path) -> None:
    page = Image.fromarray(disc())
    page.save(tmp_path / "a.tif", save_all=True, append_images=[page])
    with pytest.raises(SegError, match="several pages"):
        read_mask(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_exif_orientation_turns_image_and_mask_alike(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif.update(TRANSPOSED)
    grey = np.zeros((8, 16), np.uint8)
    grey[:, :8] = 255
    picture = Image.fromarray(grey)
    if suffix == "tif":
        picture.save(tmp_path / "a.tif", tiffinfo=TRANSPOSED)
    else:
        picture.save(tmp_path / f"a.{suffix}", exif=exif)
    upright = np.rot90(grey, -1) > 128
    np.testing.assert_array_equal(read_mask(tmp_path / f"a.{suffix}") > 128, upright)
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}")[..., 0] > 128, upright)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_palette_mask_gives_indices(tmp_path: Path, suffix: str) -> None:
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    picture = Image.fromarray(indices)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read_mask(tmp_path / f"a.{suffix}"), indices)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_mask_dtypes(tmp_path: Path, dtype: type) -> None:
    values = np.array([[0, 1], [2, 200]], dtype)
    np.testing.assert_array_equal(read_mask(put(tmp_path / "a.tif", values)), values.astype(np.int64))


def test_one_bit_mask(tmp_path: Path) -> None:
    put(tmp_path / "a.png", disc() > 0)
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), disc() > 0)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_grey_mask_saved_in_colour_is_read(tmp_path: Path, channels: int) -> None:
    planes = [disc()] * min(channels, 3) if channels != 2 else [disc()]
    opaque = [np.full_like(disc(), 255)] if channels in (2, 4) else []
    np.testing.assert_array_equal(read_mask(put(tmp_path / "a.png", np.dstack(planes + opaque))), disc())


def test_colour_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png is a colour picture"):
        read_mask(put(tmp_path / "a.png", COLOURS))


def test_fractional_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fractional"):
        read_mask(put(tmp_path / "a.tif", np.full((3, 3), 0.5, np.float32)))


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "jpg"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.9])
def test_damaged_mask_is_a_plain_error(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 50), np.uint8)
    path = put(tmp_path / f"a.{suffix}", noise)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SegError, match=rf"a\.{suffix}"):
        read_mask(path)


def test_gigantic_mask_is_a_plain_error(tmp_path: Path) -> None:
    path = put(tmp_path / "a.bmp", disc())
    data = bytearray(path.read_bytes())
    data[18:26] = (60_000).to_bytes(4, "little") * 2  # width and height in the header
    path.write_bytes(bytes(data))
    with pytest.raises(SegError, match=r"a\.bmp"):
        read_mask(path)


def test_listed_classes() -> None:
    ground, cell = parse_classes("background=0,cell=255#ff8800")
    assert ground.info == ClassInfo("background", (0, 0, 0))
    assert cell.info == ClassInfo("cell", (255, 136, 0))
    assert (ground.values, cell.values) == ((0,), (255,))


def test_several_values_of_one_class() -> None:
    classes = parse_classes("membrane=0+32+64, cell=255")
    mask = np.array([[0, 32], [64, 255]])
    np.testing.assert_array_equal(to_labels(mask, classes, "m"), [[0, 0], [0, 1]])


@pytest.mark.parametrize(
    "text", ["", "a=0", "a", "a=0,b", "a=0,b=x", "a=0,=1", "a=0,b=0", "a=0,a=1", "a=0,b=1#zz", "a=0,b=1+", "a=0+0,b=1"]
)
def test_malformed_classes_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="--classes"):
        parse_classes(text)


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0, 255], [0, 255]), ([0], [0, 1]), ([255], [0, 255]), ([0, 1], [0, 1]), ([0, 1, 2, 3], [0, 1, 2, 3])],
)
def test_classes_from_the_values(values: list[int], expected: list[int]) -> None:
    assert [c.values[0] for c in infer_classes(dict.fromkeys(values, "a.png"))] == expected


def test_unknown_values_hold_the_option_to_give() -> None:
    with pytest.raises(DataError, match="--classes background=0,class1=32,class2=191"):
        infer_classes({0: "a.png", 32: "a.png", 191: "b.png"})


def test_a_gap_in_the_indices_names_the_file() -> None:
    with pytest.raises(DataError, match=r"7 in odd\.png"):
        infer_classes({0: "a.png", 1: "a.png", 7: "masks/odd.png"})


def test_stray_value_names_file_and_value() -> None:
    with pytest.raises(DataError, match=r"masks/a1\.png holds the value 7 in 2 px") as caught:
        to_labels(np.array([[0, 7], [7, 255]]), TWO, "masks/a1.png")
    assert "cell=255" in str(caught.value)


def test_labels_are_class_indices() -> None:
    labels = to_labels(np.array([[0, 255]]), TWO, "m")
    assert labels.dtype == np.uint8
    assert labels.tolist() == [[0, 1]]


def test_truth_of_instances_alone(tmp_path: Path) -> None:
    ids = np.array([[0, 300], [7, 0]], np.uint16)
    labels, instances = FolderCase("a", tmp_path, None, put(tmp_path / "a.png", ids)).truth(TWO)
    assert labels.tolist() == [[0, 1], [1, 0]]
    assert instances is not None
    assert instances.tolist() == [[0, 2], [1, 0]]  # renumbered without gaps


def test_mask_values_are_those_of_all_masks(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    put(tmp_path / "masks" / "a2.png", np.full((40, 40), 9, np.uint8))
    assert sorted(mask_values(find_cases(tmp_path, silent))) == [0, 9, 255]


def test_default_colours_differ() -> None:
    assert len({default_color(i) for i in range(20)}) == 20


def test_classes_survive_the_checkpoint() -> None:
    classes = parse_classes("membrane=0+32,cell=255#010203")
    assert stored_classes(json_values(classes)) == classes
