from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_toolkit.checkpoints import load
from seg_toolkit.inspection import Finding, Inspection, page, said
from seg_toolkit.inspection.sheet import Thumbnail

from tests.support import mistakes
from tests.support.commands import error_of, ok, seg_edge, seg_train
from tests.support.folders import SMALL
from tests.support.mistakes import A, B, change, change_all, name_of, stray, write_cells


def validation_of(model: Path) -> list[str]:
    """Names of the validation images of a training."""
    split = json.loads(model.with_name(f"{model.stem}.split.json").read_text(encoding="utf-8"))
    return list(split["validation"])


class Parts(HTMLParser):
    """The tags and the text of a page; a tag that is not closed fails."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open += [tag] if tag not in ("meta", "img", "br") else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_good_set_ends_with_0_and_a_table(tmp_path: Path) -> None:
    told = ok(seg_edge("check", write_cells(tmp_path / "data"))).stdout
    assert "nothing suspicious was found" in told
    assert re.search(r"sizes +6 × 128×96", told)
    assert re.search(r"pixels +6 × uint8, 1 channel", told)
    assert re.search(r"classes +background \d\d\.\d\d% of the pixels, in 6 images\n +foreground", told)
    assert re.search(r"mask values +0: [\d,]+ px in 6 masks; 255: [\d,]+ px in 6 masks", told)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]


@pytest.mark.parametrize(
    ("mistake", "code", "expected"),
    [
        (mistakes.copy, 0, "1 image has several names (agate = copied)"),
        (change_all("masks", lambda mask: mask * 0), 1, "stops a training: all masks are empty"),
        (mistakes.cut_short(A, B), 1, "agate.png is damaged"),
    ],
)
def test_the_exit_code_says_whether_a_training_would_refuse(
    tmp_path: Path, mistake: mistakes.Mistake, code: int, expected: str
) -> None:
    mistake(write_cells(tmp_path / "data"))
    result = seg_edge("check", tmp_path / "data")
    assert (result.exit_code, expected in result.stdout) == (code, True)
    refused = seg_train(tmp_path / "data", "-o", tmp_path / "m.pt", *SMALL, "--steps", "1").exit_code
    assert refused == code


def test_json_is_alone_on_stdout(tmp_path: Path) -> None:
    mistakes.copy(write_cells(tmp_path))
    result = ok(seg_edge("check", tmp_path, "--json"))
    report = json.loads(result.stdout)
    assert report["findings"] == [
        {
            "kind": "copies", "fatal": False, "text": "1 image has several names (agate = copied)",
            "advice": "remove copies; the training keeps them on one side of the split", "names": [A, "copied"],
        }
    ]  # fmt: skip
    assert (report["images"], report["sizes"], report["refused"]) == (7, {"128×96": 7}, False)
    assert [(c["name"], c["values"], c["images"]) for c in report["classes"]] == [
        ("background", ["0"], 7),
        ("foreground", ["255"], 7),
    ]
    assert [(v["value"], v["masks"]) for v in report["mask_values"]] == [("0", 7), ("255", 7)]


def test_the_page_contains_all_and_needs_nothing(tmp_path: Path) -> None:
    change("images", A, lambda image: 255 - image)(write_cells(tmp_path / "a<b>&c"))
    target = tmp_path / "check.html"
    ok(seg_edge("check", tmp_path / "a<b>&c", "-o", target))
    text = target.read_text(encoding="utf-8")
    found = Parts(text)
    assert {tag for tag, _ in found.tags} & {"script", "link", "iframe", "b>"} == set()
    pictures = [attrs for tag, attrs in found.tags if tag == "img"]
    assert len(pictures) == 6
    assert pictures[0]["alt"] == A  # suspicious ones first
    assert all(str(p["src"]).startswith("data:image/jpeg;base64,") for p in pictures)
    assert re.findall(r"""(?:src|href)=(?!"data:)|url\(""", text) == []
    assert "a<b>&c" in found.text
    assert "prefers-color-scheme: dark" in text


def test_outlines_have_the_colour_of_the_class(tmp_path: Path) -> None:
    from seg_toolkit.data import ClassValues, Example
    from seg_toolkit.inspection.sheet import thumbnail

    labels = np.zeros((50, 100), np.uint8)
    labels[20:30, 40:60] = 1
    classes = ClassValues.parse("background=0,cell=255#ff0000")
    made = thumbnail(Example(np.full((50, 100, 1), 90, np.uint8), labels), classes)
    assert made.size == (200, 100)
    with Image.open(BytesIO(made.jpeg)) as picture:
        pixels = np.array(picture).astype(int)
    assert pixels[40, 100, 0] - pixels[40, 100, 1] > 100  # the upper edge of the object
    assert abs(pixels[50, 100] - pixels[50, 20]).max() < 40  # inside is as outside


def test_at_most_200_pictures_and_the_rest_is_counted() -> None:
    found = Inspection(Path("data"), thumbnails={f"n{i:03}": Thumbnail(b"", (1, 1)) for i in range(230)})
    found.findings = [Finding("inverted", "one is odd", "look", ("n229",))]
    parts = Parts(page(found))
    names = [attrs["alt"] for tag, attrs in parts.tags if tag == "img"]
    assert (len(names), names[0]) == (200, "n229")
    assert "30 more images are left out" in parts.text


def test_a_name_that_is_no_page_is_refused_before_any_work(tmp_path: Path) -> None:
    assert "expected a name such as check.html" in error_of(
        seg_edge("check", tmp_path / "nowhere", "-o", tmp_path / "check.png")
    )


def test_training_says_at_most_ten_findings_in_its_first_lines() -> None:
    found = [Finding("kind", f"finding {number}", "do something") for number in range(12)]
    lines = said(found, "data")
    assert len(lines) == 11
    assert lines[0] == "note: finding 0. Do something."
    assert lines[-2:] == ["note: 3 more findings", "note: see them with seg-edge check data -o check.html"]
    assert said([], "data") == []


def test_copies_and_time_points_stay_on_one_side_of_the_split(tmp_path: Path) -> None:
    root = write_cells(tmp_path / "data", 6)
    mistakes.to_time_points(root)
    words = (root, *SMALL, "--steps", "1", "--val-fraction", "0.5", "-o", tmp_path / "m.pt", "--overwrite")
    for seed in ("0", "1"):
        told = ok(seg_train(*words, "--group", "{source}_t{n}", "--seed", seed)).stderr
        assert "groups: 2 sources of 6 images" in told
        validation = validation_of(tmp_path / "m.pt")
        assert len({name[:5] for name in validation}) == 1
    (tmp_path / "val.txt").write_text("wellA_t00\nwellB_t00\n")
    told = ok(seg_train(*words[:2], *words[2:], "--group", "{source}_t{n}", "--val-list", tmp_path / "val.txt")).stderr
    assert (
        "note: --val-list parts images that belong together, so the score is too good: wellA_t00, wellA_t01, wellA_t02"
        in told
    )
    assert "all 6 images belong to one group" in error_of(seg_train(*words, "--group", "{source}ell*"))


def test_renamed_copies_do_not_part(tmp_path: Path) -> None:
    root = write_cells(tmp_path / "data", 4)
    for number in range(4):
        for part in ("images", "masks"):
            path = root / part / f"{name_of(number)}.png"
            (root / part / f"zz{name_of(number)}.png").write_bytes(path.read_bytes())
    for seed in ("0", "3"):
        words = (
            root,
            *SMALL,
            "--steps",
            "1",
            "--val-fraction",
            "0.5",
            "--seed",
            seed,
            "-o",
            tmp_path / "m.pt",
            "--overwrite",
        )
        assert (
            "groups: 8 images that occur twice or nearly so stay on one side of the split"
            in ok(seg_train(*words)).stderr
        )
        validation = validation_of(tmp_path / "m.pt")
        assert len(validation) == 4
        assert {name.removeprefix("zz") for name in validation} == {
            name for name in validation if not name.startswith("zz")
        }


def test_a_snapped_training_and_its_evaluation_read_the_masks_alike(tmp_path: Path) -> None:
    root = write_cells(tmp_path / "data", 4)
    change("masks", A, lambda mask: stray(mask, 24, 37, 50))(root)
    words = (root, *SMALL, "--steps", "1", "-o", tmp_path / "m.pt")
    assert "--snap-values" in error_of(seg_train(*words))
    assert (
        "3 pixels with stray values (24+37+50) count as the nearest class"
        in ok(seg_train(*words, "--snap-values")).stderr
    )
    model = load(tmp_path / "m.pt")
    assert model.reader == "pairs:snap=24+37+50"
    assert [entry.values for entry in model.classes] == [(0,), (255,)]
    ok(seg_edge("evaluate", tmp_path / "m.pt", root, "--include-training"))
    change("masks", B, lambda mask: stray(mask, 99))(root)
    error_of(seg_edge("evaluate", tmp_path / "m.pt", root, "--include-training"))
    ok(seg_edge("evaluate", tmp_path / "m.pt", root, "--include-training", "--snap-values"))


@pytest.mark.parametrize(
    ("classes", "first", "notes"),
    [
        ("cell=255,background=0", "background", ["background becomes the first class, because it is the background"]),
        ("cell=255,BG=0", "BG", ["BG becomes the first class, because it is the background"]),
        ("cell=255,membrane=0", "membrane", ["membrane becomes the first class, because it is the background"]),
        (
            "membrane=0,background=255",
            "background",
            ["background becomes the first class, because it is the background"],
        ),
        ("background=0,cell=255", "background", []),
        ("a=255+1,b=2+0-0", "b", ["b becomes the first class, because it is the background"]),
    ],
)
def test_the_order_of_the_names_does_not_choose_the_background(
    tmp_path: Path, classes: str, first: str, notes: list[str]
) -> None:
    told = seg_edge("check", write_cells(tmp_path, 2), "--classes", classes, "--json")
    report = json.loads(ok(told).stdout)
    assert report["classes"][0]["name"] == first
    assert report["classes"][0]["color"] == "#000000"
    assert report["notes"][:-1] == notes  # the last one is about the small number of images


def test_without_a_sign_the_first_class_is_the_background_and_it_is_said(tmp_path: Path) -> None:
    change_all("masks", lambda mask: mask // 255 + 1)(write_cells(tmp_path, 2))
    report = json.loads(ok(seg_edge("check", tmp_path, "--classes", "cell=2,ground=1", "--json")).stdout)
    assert [entry["name"] for entry in report["classes"]] == ["cell", "ground"]
    assert report["notes"][:-1] == ["cell is taken as the background, because it is the first class"]
