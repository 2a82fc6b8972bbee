"""Each mistake in `tests/support/mistakes.py` gives its finding, with the names, and nothing else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from seg_toolkit.inspection import Inspection, as_table, examine
from seg_toolkit.options import CheckOptions

from samples.generators import pancreas
from tests.support import mistakes
from tests.support.images import noise_image, put
from tests.support.mistakes import A, B, C, Mistake, change, change_all, name_of, write_cells
from tests.support.places import REAL
from tests.support.touching import write_touching


def no_bar(label: str, length: int) -> Any:
    def over(things: Iterable[Any]) -> Iterable[Any]:
        return things

    return over


def examined(root: Path, **options: Any) -> Inspection:
    return examine(root, CheckOptions(**options), no_bar, pictures=False)


def several(*made: Mistake) -> Mistake:
    return lambda root: [make(root) for make in made]


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        (mistakes.swap_folders, [("swapped", True, ())]),
        (mistakes.rename_masks, [("unmatched", False, (A, B, C)), ("unmatched", False, (f"{A}-1", f"{B}-1", f"{C}-1"))]),
        (change("masks", A, lambda mask: mask.T), [("sizes", True, (A,))]),
        (several(change("masks", A, lambda m: m.T), change("masks", B, lambda m: m[1:])), [("sizes", True, (A,)), ("sizes", True, (B,))]),
        (change_all("masks", lambda mask: mask * 0), [("one-class", True, ())]),
        (change_all("masks", lambda mask: mask * 0 + 255), [("one-class", True, ())]),
        (change("masks", A, lambda mask: mask * 0), [("empty-mask", False, (A,))]),
        (mistakes.into_subfolders("masks"), [("layout", True, ())]),
        (several(*(change("masks", n, mistakes.third_class) for n in (A, B))), [("masks", True, ())]),
        (change("masks", A, lambda mask: mistakes.stray(mask, 24, 37, 50)), [("stray-values", True, (A,))]),
        (change_all("masks", mistakes.soft_edges), [("masks", True, ())]),
        (several(*(change("masks", n, lambda mask: mask // 255) for n in (A, B))), [("masks", True, ())]),
        (change_all("masks", lambda mask: np.random.default_rng(0).integers(0, 999, mask.shape).astype(np.uint16)), [("masks", True, ())]),
        (mistakes.copy, [("copies", False, (A, "copied"))]),
        (mistakes.copy_as_jpeg, [("similar", False, (A, "copied"))]),
        (mistakes.copy_mirrored, [("similar", False, (A, "copied"))]),
        (mistakes.to_time_points, [("sources", False, ())]),
        (change("images", A, lambda image: np.stack([image, image // 2, image // 3], -1)), [("channels", False, (A,))]),
        (change("images", A, lambda image: image.astype(np.uint16) * 257), [("dtype", False, (A,))]),
        (change("images", A, lambda image: 255 - image), [("inverted", False, (A,))]),
        (change("images", A, lambda image: image * 0 + 7), [("constant", False, (A,))]),
        (mistakes.cut_short(A, B), [("unreadable", True, (A, B))]),
        (several(change("images", A, enlarged := lambda a: a.repeat(4, 0).repeat(4, 1)), change("masks", A, enlarged)), [("size", False, (A,))]),
    ],
    ids=[
        "swapped folders", "names", "turned size", "two sizes", "all empty", "all objects", "one empty", "subfolders of masks",
        "rare third class", "stray", "soft edges", "0 and 1 among 0 and 255", "images as masks", "copy", "jpeg", "mirrored copy", "time points", "colour", "16 bits",
        "inverted", "constant", "cut short", "magnified",
    ],
)  # fmt: skip
def test_a_mistake_gives_its_finding_and_no_other(tmp_path: Path, mistake: Mistake, expected: list[Any]) -> None:
    mistake(write_cells(tmp_path))
    found = examined(tmp_path).findings
    assert [(f.kind, f.fatal, f.names) for f in found] == expected, [f.sentence for f in found]
    assert all(f.advice for f in found)


@pytest.mark.parametrize("count", [2, 6, 9, 10])
def test_a_set_without_mistakes_has_no_findings(tmp_path: Path, count: int) -> None:
    found = examined(write_cells(tmp_path, count))
    assert found.findings == []
    few = [f"the score of a training with {count} images says little about new images"]
    assert found.notes == (few if count < 10 else [])


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the real images are not at {REAL}")
@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("dsb2018_nuclei_he", {}, []),
        ("em_isbi2012", {}, []),
        ("ct_dicom_series", {}, []),
        ("dsb2018_nuclei_grey", {}, [("inverted", ("3594684b9ea0",))]),  # the only one with dark nuclei
    ],
)
def test_real_sets_raise_no_false_alarm(name: str, options: dict[str, str], expected: list[Any]) -> None:
    assert [(f.kind, f.names) for f in examined(REAL / name, **options).findings] == expected


def test_a_mask_that_is_turned_in_its_size_is_found_by_its_outlines(tmp_path: Path) -> None:
    change("masks", A, lambda mask: mask[::-1, ::-1])(write_cells(tmp_path))
    (turned,) = examined(tmp_path).findings
    assert (turned.kind, turned.names) == ("orientation", (A,))
    assert turned.text == "1 mask fits its image better if turned by 180°"


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (lambda mask: np.rot90(mask), "turned by 90° to the right"),
        (lambda mask: np.rot90(mask, 3), "turned by 90° to the left"),
        (lambda mask: mask.T, "mirrored along the diagonal"),
        (lambda mask: mask[::-1], "mirrored from top to bottom"),
    ],
)
def test_all_masks_turned_in_one_way(tmp_path: Path, turn: Any, said: str) -> None:
    change_all("masks", turn)(write_cells(tmp_path, shape=(96, 96)))
    found = examined(tmp_path).findings
    turned = next(f for f in found if f.kind == "orientation")
    assert turned.text == f"6 masks fit their images better if {said}"


def test_nothing_stops_at_the_first_fault(tmp_path: Path) -> None:
    names = [name_of(number) for number in range(10)]
    root = write_cells(tmp_path, len(names))
    several(
        mistakes.cut_short(names[0]), change("masks", names[1], lambda mask: mask.T), change("masks", names[2], lambda mask: mask * 0),
        change("images", names[3], lambda image: 255 - image),
    )(root)  # fmt: skip
    (root / "masks" / f"{names[4]}.png").write_bytes(b"no picture")
    (root / "masks" / f"{names[5]}.png").unlink()
    found = {(finding.kind, finding.names) for finding in examined(root).findings}
    expected = {
        "sizes": names[1:2],
        "empty-mask": names[2:3],
        "inverted": names[3:4],
        "unmatched": names[5:6],
    }
    unreadable = {("unreadable", (names[0],)), ("unreadable", (names[4],))}
    assert found == unreadable | {(kind, tuple(of)) for kind, of in expected.items()}


def test_files_that_cannot_be_read_for_different_reasons_are_told_apart(tmp_path: Path) -> None:
    root = write_cells(tmp_path, 8)
    (root / "images" / f"{A}.png").write_bytes(b"no picture")
    mistakes.cut_short(B, part="masks")(root)
    for name in (C, name_of(3)):
        (root / "images" / f"{name}.png").write_bytes(b"")
    (root / "masks" / f"{name_of(4)}.png").write_bytes(b"no picture")
    found = {f.names: (f.text.partition(";")[0], f.advice) for f in examined(root).findings}
    images, masks, again = root / "images", root / "masks", "copy or export it again"
    assert found.pop((B,))[1] == again
    assert found == {
        (A,): (f"{images / A}.png is not a readable image", "convert it"),
        (C, name_of(3)): (f"{images / C}.png is empty (2 cases like this)", again),
        (name_of(4),): (f"the mask {masks / name_of(4)}.png is not a readable image", "convert it"),
    }


def test_volumes_and_labels_of_different_sizes_are_a_finding_of_sizes(tmp_path: Path) -> None:
    pancreas.write(tmp_path, 3, 0)
    path = sorted((tmp_path / "labelsTr").iterdir())[0]
    labels: Any = nibabel.load(path)
    nibabel.save(labels.slicer[:, :, 1:], path)
    (found,) = (f for f in examined(tmp_path, reader="nifti").findings if f.fatal)
    assert (found.kind, len(found.names)) == ("sizes", 1)


def test_masks_that_cannot_be_read_at_all(tmp_path: Path) -> None:
    for path in (write_cells(tmp_path, 2) / "masks").iterdir():
        path.write_bytes(b"no picture")
    (found,) = examined(tmp_path).findings
    assert (found.kind, found.names) == ("unreadable", (A, B))


@pytest.mark.parametrize(
    ("mistake", "kind", "said", "fatal"),
    [
        (mistakes.one_field(6), "copies", "several names", True),
        (mistakes.one_field(4, noise=1), "similar", "all images are nearly the same, so the score", False),
        (mistakes.one_field(8, noise=3), "one-field", "all images look like one field", False),
    ],
    ids=["equal", "few", "many"],
)
def test_no_side_is_promised_if_all_images_are_the_same(
    tmp_path: Path, mistake: Mistake, kind: str, said: str, fatal: bool
) -> None:
    mistake(write_cells(tmp_path))
    found = examined(tmp_path)
    finding = next(f for f in found.findings if f.kind == kind)
    assert said in finding.text
    assert "one side of the split" not in finding.sentence
    assert found.refused == fatal
    assert ("all 6 images are copies of one" in {f.text.partition(";")[0] for f in found.findings}) == fatal


def test_a_round_field_of_view_is_not_one_field(tmp_path: Path) -> None:
    y, x = np.mgrid[:96, :128]
    inside = (y - 48) ** 2 + (x - 64) ** 2 < 44**2
    change_all("images", lambda image: image * inside)(write_cells(tmp_path, 8))
    assert examined(tmp_path).findings == []


@pytest.mark.parametrize(
    ("mistake", "some", "expected"),
    [
        (lambda name: change("masks", name, lambda mask: mask * 0), 1, "1 mask of 10 is empty: agate. Annotate it, or leave it if the image really shows no object."),
        (lambda name: change("masks", name, lambda mask: mask * 0), 2, "2 masks of 10 are empty: agate, amber. Annotate them, or leave them if the images really show no object."),
        (lambda name: change("images", name, lambda image: image * 0), 1, "1 image has one grey value everywhere: agate. Leave it out."),
        (lambda name: change("images", name, lambda image: image * 0 + len(name)), 2, "2 images have one grey value everywhere: agate, amber. Leave them out."),
        (lambda name: lambda root: (root / "masks" / f"{name}.png").unlink(), 1, "1 image without a mask, left out: agate. Rename the file, or add what is missing."),
        (lambda name: lambda root: (root / "images" / f"{name}.png").unlink(), 2, "2 masks without an image, left out: agate, amber. Rename the files, or add what is missing."),
        (lambda name: change("masks", name, lambda mask: mistakes.stray(mask, 24)), 1, "Assign it to the nearest class with --snap-values, leave its pixels out with --ignore-value 24, or, if it is a class, name all"),
        (lambda name: change("masks", name, lambda mask: mask // 255 * 32), 10, "the masks contain the values 0, 32 in agate.png; expected"),
    ],
)  # fmt: skip
def test_sentences_speak_of_one_or_of_several(tmp_path: Path, mistake: Any, some: int, expected: str) -> None:
    several(*(mistake(name_of(number)) for number in range(some)))(write_cells(tmp_path, 10))
    assert any(expected in f.sentence for f in examined(tmp_path).findings), [
        f.sentence for f in examined(tmp_path).findings
    ]


def test_grey_values_of_integers_are_whole_numbers(tmp_path: Path) -> None:
    assert re.search(r"^  grey values +\d+ to \d+, without", as_table(examined(write_cells(tmp_path))), re.MULTILINE)


@pytest.mark.parametrize("colours", [1, 3])
def test_masks_that_are_copies_of_the_images(tmp_path: Path, colours: int) -> None:
    for path in (write_cells(tmp_path) / "images").iterdir():
        grey = np.array(Image.open(path))
        put(path, grey if colours == 1 else np.stack([grey, grey // 2, grey // 3], -1))
        shutil.copy(path, tmp_path / "masks" / path.name)
    (found,) = (f for f in examined(tmp_path).findings if f.fatal)
    assert found.text.startswith("the masks are copies of the images, such as the mask of agate")
    assert found.advice == "put the masks in their folder"


@pytest.mark.parametrize(("part", "names"), [("masks", (A,)), ("images", (A,)), ("images", (A, B))])
def test_the_advice_about_what_is_inverted_names_images_and_masks(
    tmp_path: Path, part: str, names: tuple[str, ...]
) -> None:
    several(*(change(part, name, lambda array: 255 - array) for name in names))(write_cells(tmp_path, 10))
    (found,) = examined(tmp_path).findings
    assert (found.kind, found.names) == ("inverted", names)
    of_one = "invert the image or its mask, or check that it belongs to this set"
    of_more = "invert the images or their masks, or check that they belong to this set"
    assert found.advice == (of_one if len(names) == 1 else of_more)


def test_the_names_of_copies_are_listed_once(tmp_path: Path) -> None:
    write_cells(tmp_path)
    for number in range(4):
        mistakes.copy(tmp_path, f"copy{number}")
    (found,) = examined(tmp_path).findings
    assert found.sentence.count("copy0") == 1


def test_the_nearest_name_is_shown(tmp_path: Path) -> None:
    mistakes.rename_masks(write_cells(tmp_path))
    assert f"nearest name: {A} and {A}-1" in examined(tmp_path).findings[0].text


def test_subfolders_of_both_are_read(tmp_path: Path) -> None:
    mistakes.into_subfolders("images", "masks")(write_cells(tmp_path))
    found = examined(tmp_path)
    assert found.findings == []
    assert found.data is not None
    assert [case.name for case in found.data.cases] == sorted(
        f"d{i % 2 + 1}/{name}" for i, name in enumerate(sorted(map(name_of, range(6))))
    )


@pytest.mark.parametrize(("inside", "flat"), [("masks", "images"), ("images", "masks")])
def test_files_in_subfolders_of_one_folder(tmp_path: Path, inside: str, flat: str) -> None:
    mistakes.into_subfolders(inside)(write_cells(tmp_path))
    (found,) = examined(tmp_path).findings
    assert found.text.startswith(f"the files of {tmp_path / inside} are in subfolders (d1, d2)")
    assert found.advice == f"give {tmp_path / flat} the same subfolders, or move the files to {tmp_path / inside}"


def test_stray_values_are_counted_and_snapped(tmp_path: Path) -> None:
    change("masks", A, lambda mask: mistakes.stray(mask, 24, 37, 150))(write_cells(tmp_path))
    (refused,) = examined(tmp_path).findings
    assert "24 (1 pixel), 37 (1 pixel), 150 (1 pixel) in " in refused.text
    assert "--snap-values" in refused.advice
    assert "--ignore-value 24+37+150" in refused.advice
    snapped = examined(tmp_path, snap_values=True)
    assert snapped.findings == []
    assert "3 pixels with stray values (24+37+150) count as the nearest class" in snapped.notes
    assert snapped.data is not None
    assert snapped.data.reader == "pairs:snap=24+37+150"
    ignored = examined(tmp_path, ignore_value="24+37+150")
    assert ignored.findings == []


def test_a_regression_is_looked_at_without_classes(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path / "images" / f"{number}.png", noise_image(40, 50, 1, seed=number))
        put(tmp_path / "targets" / f"{number}.png", noise_image(40, 50, 1, seed=9 + number))
    put(tmp_path / "images" / "3.png", noise_image(40, 50, 1, seed=0))
    put(tmp_path / "targets" / "3.png", noise_image(40, 50, 1, seed=9))
    found = examined(tmp_path, reader="targets")
    assert [(f.kind, f.names) for f in found.findings] == [("copies", ("0", "3"))]
    assert found.masks is None


def _interpolated(ids: Any) -> Any:
    return np.asarray(Image.fromarray(ids).resize(ids.shape[::-1], Image.Resampling.BILINEAR, (0.4, 0.4, 63.6, 63.6)))


@pytest.mark.parametrize("change_ids", [lambda ids: (ids > 0).astype(np.uint8), _interpolated])
def test_ids_that_are_not_those_of_objects(tmp_path: Path, change_ids: Any) -> None:
    write_touching(tmp_path, count=6)
    assert not [finding for finding in examined(tmp_path).findings if finding.kind == "scattered"]
    for path in (tmp_path / "instances").iterdir():
        put(path, change_ids(np.asarray(Image.open(path)) * np.uint8(60)))
    [found] = [finding for finding in examined(tmp_path).findings if finding.kind == "scattered"]
    assert not found.fatal
    assert len(found.names) == 6
    assert "consist of several pieces" in found.text


@pytest.mark.parametrize(("wrong_mm", "text"), [((900, 0.7, 0.7), "a distance of slices of 900 mm, while most have 3 mm"),
    ((3, 0.7, 700), "a pixel size of 700 mm, while most have 0.7 mm")])  # fmt: skip
def test_a_wrong_unit_of_one_axis_is_found(tmp_path: Path, wrong_mm: tuple[float, ...], text: str) -> None:
    rng = np.random.default_rng(0)
    for number in range(4):
        sides = wrong_mm if number == 2 else (3, 0.7, 0.7)
        affine = np.diag([*reversed(sides), 1])
        for part, values in (("images", rng.normal(0, 1, (16, 16, 6))), ("labels", rng.integers(0, 2, (16, 16, 6)))):
            (tmp_path / part).mkdir(exist_ok=True)
            image = nibabel.Nifti1Image(values.astype(np.float32), affine)
            nibabel.save(image, tmp_path / part / f"v{number}.nii.gz")
    found = examined(tmp_path, reader="nifti").findings
    assert [(one.names, one.fatal, text in one.text) for one in found if one.kind == "pixel-size"] == [
        (("v2",), True, True)
    ]
