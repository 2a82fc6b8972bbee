from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from seg_toolkit.checkpoints import load

from tests.support.commands import error_of, errors, ok, seg_edge, seg_train
from tests.support.folders import SMALL, write_pairs
from tests.support.images import disc, put

Break = Callable[[Path], object]


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    """Call with an older model at the target; gives the error line and sees that the model stayed."""

    def call(data: Path, *options: str) -> str:
        (tmp_path / "out").mkdir()
        out = tmp_path / "out" / "model.pt"
        out.write_bytes(b"an older model")
        line = error_of(seg_train(data, "-o", out, *SMALL, "--overwrite", "--steps", "2", *options))
        assert out.read_bytes() == b"an older model"
        assert [p.name for p in out.parent.iterdir()] == ["model.pt"]
        return line

    return call


def empty(folder: str) -> Break:
    return lambda root: [p.unlink() for p in (root / folder).iterdir()]


def write(name: str, data: bytes) -> Break:
    return lambda root: (root / name).write_bytes(data)


def cut_short(name: str) -> Break:
    return lambda root: (root / name).write_bytes((root / name).read_bytes()[:60])


def colour(root: Path) -> None:
    put(root / "masks" / "a1.png", np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))


def stray(root: Path) -> None:
    mask = disc()
    mask[3, 4] = 7
    put(root / "masks" / "a1.png", mask)


def mixed_alpha(root: Path) -> None:
    put(root / "images" / "a1.png", np.random.default_rng(0).integers(0, 255, (40, 40, 4), np.uint8))


def half_missing_instances(root: Path) -> None:
    put(root / "instances" / "a0.png", disc())


BAD_DATA: dict[str, tuple[Break, list[str]]] = {
    "no folder images": (lambda root: (root / "images").rename(root / "pictures"), ["images", "DATA/images"]),
    "no masks": (lambda root: (root / "masks").rename(root / "labels"), ["neither masks nor instances"]),
    "empty images": (empty("images"), ["has no images"]),
    "empty masks": (empty("masks"), ["neither masks nor instances"]),
    "nothing matches": (lambda root: [p.rename(p.with_stem("b" + p.stem)) for p in (root / "masks").iterdir()], ["name"]),
    "two of a name": (lambda root: put(root / "images" / "a1.bmp", disc()), ["a1.png", "a1.bmp"]),
    "size mismatch": (lambda root: put(root / "masks" / "a1.png", disc(41)), ["a1", "40×40", "41×41"]),
    "colour mask": (colour, ["a1.png", "colour"]),
    "stray value": (stray, ["a1.png", "7"]),
    "broken image": (write("images/a1.png", b"no picture"), ["a1.png"]),
    "empty image": (write("images/a1.png", b""), ["a1.png", "empty"]),
    "truncated image": (cut_short("images/a1.png"), ["a1.png"]),
    "broken mask": (write("masks/a1.png", b"no picture"), ["a1.png"]),
    "empty mask": (write("masks/a1.png", b""), ["a1.png", "empty"]),
    "truncated mask": (cut_short("masks/a1.png"), ["a1.png"]),
    "folder as image": (lambda root: (root / "images" / "a1.png").unlink() or (root / "images" / "a1.png").mkdir(), ["a1.png"]),
    "mixed channels": (mixed_alpha, ["channels"]),
    "some instances": (half_missing_instances, ["instances", "a1"]),
    "one image": (lambda root: [p.unlink() for p in (root / "images").iterdir() if p.stem != "a0"], ["0 images for training"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_is_one_line(tmp_path: Path, refused: Callable[..., str], name: str) -> None:
    spoil, words = BAD_DATA[name]
    spoil(write_pairs(tmp_path / "data"))
    line = refused(tmp_path / "data")
    assert all(word in line for word in words), line


BAD_OPTIONS: dict[str, tuple[list[str], list[str]]] = {
    "input size": (["--input-size", "570"], ["570", "556", "572"]),
    "classes form": (["--classes", "cell"], ["'cell'", "NAME=VALUE"]),
    "classes twice": (["--classes", "a=0,b=0"], ["repeats the value 0"]),
    "intensity": (["--intensity", "loud"], ["loud", "zscore"]),
    "intensity window": (["--intensity", "window:40"], ["window:40", "LEVEL,WIDTH"]),
    "intensity of no width": (["--intensity", "window:40,0"], ["window:40,0", "a width above 0"]),
    "intensity of nan": (["--intensity", "window:nan,400"], ["window:nan,400", "LEVEL,WIDTH"]),
    "geometry": (["--geometry", "round"], ["round", "stretch"]),
    "class weights": (["--class-weights", "even"], ["even", "balance"]),
    "border weight": (["--border-weight", "-1"], ["--border-weight is -1; expected 0 or more"]),
    "tile too small": (["--geometry", "tile", "--input-size", "188"], ["(4, 4)", "16 px"]),
    "val list": (["--val-list", "nowhere.txt"], ["nowhere.txt"]),
    "resume of nothing": (["--resume"], ["there is no run to continue at", "Leave out --resume to start one"]),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_option_is_one_line(tmp_path: Path, refused: Callable[..., str], name: str) -> None:
    options, words = BAD_OPTIONS[name]
    line = refused(write_pairs(tmp_path / "data"), *options)
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    "options",
    [
        ["--network", "unett"], ["--recipe", "nuclei"], ["--reader", "foo"], ["--reader", "pairs:depth=2"], ["--augment", "foo"],
        ["--augment", "slight,rotation=x"], ["--intensity", "foo"], ["--intensity", "standardize:0.5"], ["--classes", "foo"],
        ["--metrics", "foo"], ["--metrics", "surface-dice=x"], ["--lr", "-1"], ["--answer", "foo"], ["--input-size", "570"],
        ["--input-size", "a"], ["--geometry", "tiles"], ["--depth", "9"], ["--workers", "100000"], ["-o", "m.onnx"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_value_that_an_option_does_not_take_is_refused_before_images_are_read(
    tmp_path: Path, options: list[str]
) -> None:
    done = seg_train(write_pairs(tmp_path / "data"), "-o", tmp_path / "model.pt", *SMALL, "--steps", "2", *options)
    assert done.exit_code == 2, done.stderr
    assert "reading the images" not in done.stderr
    assert len(errors(done.stderr)) == 1


def test_weights_to_start_from_are_checked_before_images_are_read(tmp_path: Path) -> None:
    words = [write_pairs(tmp_path / "data"), "-o", tmp_path / "m.pt", *SMALL, "--steps", "2", "--from"]
    done = seg_train(*words, tmp_path / "foo.pth", "--network", "ternaus", "--input-size", "352")
    assert "foo.pth does not exist" in done.stderr.splitlines()[-1]
    assert "reading the images" not in done.stderr
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "foo.pth")
    assert "seg-edge import" in error_of(seg_train(*words, tmp_path / "foo.pth"))


def test_stray_value_of_listed_classes_names_file_and_value(tmp_path: Path, refused: Callable[..., str]) -> None:
    stray(write_pairs(tmp_path / "data"))
    line = refused(tmp_path / "data", "--classes", "background=0,cell=255")
    assert "a1.png" in line
    assert "7 (1 pixel)" in line
    assert "--snap-values" in line


def test_missing_data_is_one_line(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "nowhere" in refused(tmp_path / "nowhere")


def test_the_folder_of_the_images_leads_to_the_data_set(tmp_path: Path, refused: Callable[..., str]) -> None:
    root = write_pairs(tmp_path / "data")
    assert refused(root / "images").endswith(f"Give {root}, the folder above.")


def test_missing_data_leaves_no_folder_for_the_model(tmp_path: Path) -> None:
    error_of(seg_train(tmp_path / "nowhere", "-o", tmp_path / "new" / "model.pt"))
    assert not (tmp_path / "new").exists()


def test_steps_and_epochs_exclude_each_other(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "--epochs" in refused(write_pairs(tmp_path / "data"), "--epochs", "2")


def test_unknown_name_in_the_list_is_named(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "list.txt").write_text("a0\nb7\n")
    assert "b7" in refused(write_pairs(tmp_path / "data"), "--val-list", str(tmp_path / "list.txt"))


def test_a_list_of_everything_leaves_nothing_to_train_on(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "list.txt").write_text("a0\na1\na2\n")
    assert "0 images for training" in refused(write_pairs(tmp_path / "data"), "--val-list", str(tmp_path / "list.txt"))


def test_a_list_that_names_nothing_is_refused(tmp_path: Path) -> None:
    data, model, names = write_pairs(tmp_path / "data"), tmp_path / "m.pt", tmp_path / "list.txt"
    names.write_text("\n")
    assert "list.txt is empty" in error_of(seg_train(data, "-o", model, *SMALL, "--steps", 2, "--val-list", names))
    ok(seg_train(data, "-o", model, *SMALL, "--steps", 2))
    assert "list.txt is empty" in error_of(seg_edge("evaluate", model, data, "--val-list", names))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_that_cannot_be_had_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "--device cpu" in refused(write_pairs(tmp_path / "data"), "--device", "cuda")


@pytest.mark.parametrize("channels", ["1", "2", "4"])
def test_channels_that_do_not_fit_are_refused_before_training(
    tmp_path: Path, refused: Callable[..., str], channels: str
) -> None:
    root = write_pairs(tmp_path / "data")
    put(root / "images" / "a1.png", np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    assert "channel" in refused(root, "--channels", channels)


def test_folder_as_target_is_refused(tmp_path: Path) -> None:
    assert "is a folder" in error_of(seg_train(write_pairs(tmp_path / "data"), "-o", tmp_path))


def test_target_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert "cannot write" in error_of(seg_train(write_pairs(tmp_path / "data"), "-o", tmp_path / "file" / "model.pt"))


def test_log_does_not_overwrite_the_model(tmp_path: Path) -> None:
    out = tmp_path / "model.csv"
    ok(seg_train(write_pairs(tmp_path / "data"), "-o", out, *SMALL, "--steps", "1"))
    assert load(out).contract.provenance["settings"]["steps"] == 1
    assert (tmp_path / "model.csv.csv").read_text().startswith("step,")


def test_models_with_dots_in_their_names_do_not_share_a_log(tmp_path: Path) -> None:
    for name in ("cells.v1", "cells.v2"):
        seg_train(write_pairs(tmp_path / "data"), "-o", tmp_path / "out" / name, *SMALL, "--steps", "1")
    assert len([p for p in (tmp_path / "out").iterdir() if p.suffix == ".csv"]) == 2


def test_error_in_a_worker_process_is_one_plain_line(tmp_path: Path, refused: Callable[..., str]) -> None:
    root = write_pairs(tmp_path / "data")
    for seed, path in enumerate((root / "images").iterdir()):
        put(path, np.random.default_rng(seed).integers(0, 255, (40, 40, 3), np.uint8))
    line = refused(root, "--channels", "1", "--intensity", "scale", "--workers", "1")
    assert "channel" in line
    assert len(line) < 400


@pytest.mark.parametrize(
    "option", [["--width", "0"], ["--lr", "0"], ["--val-fraction", "1"], ["--wings"], ["--skip", "add"]]
)
def test_option_out_of_range_is_refused(tmp_path: Path, refused: Callable[..., str], option: list[str]) -> None:
    assert option[0] in refused(write_pairs(tmp_path / "data"), *option)


@pytest.mark.parametrize("option", [["--width", "0"], ["--wings"]])
def test_option_out_of_range_is_one_line(tmp_path: Path, option: list[str]) -> None:
    assert len(seg_train(tmp_path, *option).stderr.splitlines()) == 1


def test_a_real_process_ends_with_one_line_too(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from seg_toolkit.cli.train import main; main()", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_training_says_what_it_found_and_chose(cells: Path, tmp_path: Path) -> None:
    result = ok(seg_train(cells, "-o", tmp_path / "model.pt", *SMALL, "--steps", "2"))
    for words in ("5 images: 5 × 64×64", "classes: background ", "split: 4 for training, 1 for validation", "intensity: ",
                  "geometry: fit (set by you)", "class weights: ", "border weight: 0 (", "training on cpu: 2 steps", "step 2: loss "):  # fmt: skip
        assert words in result.stderr
    assert re.search(r"step 2: loss [0-9.]+, validation Dice 0\.[0-9]{4} \(foreground 0\.[0-9]{3}\)", result.stderr)
    assert "foreground" in result.stdout
    assert f"wrote {tmp_path / 'model.pt'}" in result.stdout


def test_a_class_that_was_never_found_is_named_at_the_end(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "data")
    for path in (root / "masks").iterdir():  # a class of one pixel, which one step does not find
        mask = np.array(Image.open(path)) // 255
        mask[0, 0] = 2
        put(path, mask)
    classes = "background=0,class1=1,class2=2"
    result = ok(seg_train(root, "-o", tmp_path / "m.pt", *SMALL, "--steps", "1", "--classes", classes))
    assert "training on cpu: 1 step, batch" in result.stderr
    [missed] = [line for line in result.stderr.splitlines() if line.startswith("note: no pixel of ")]
    assert "class2" in missed


def test_unmatched_files_are_told_and_left_out(tmp_path: Path) -> None:
    put(write_pairs(tmp_path / "data") / "images" / "lonely.png", disc())
    result = ok(seg_train(tmp_path / "data", "-o", tmp_path / "model.pt", *SMALL, "--steps", "1"))
    assert "lonely" in result.stderr


def test_masks_of_many_kinds_train(tmp_path: Path) -> None:
    root = write_pairs(tmp_path / "data", 2)
    palette = Image.fromarray(disc() // 255)
    palette.putpalette([9, 9, 9, 200, 0, 0])
    palette.save(root / "masks" / "b.png")
    put(root / "images" / "b.tif", disc().astype(np.uint16) * np.uint16(200))
    put(root / "masks" / "c.tif", disc().astype(np.uint16))
    put(root / "images" / "c.jpg", np.dstack([disc()] * 3))
    classes = "ground=0,cell=1+255#00ff00"
    ok(seg_train(root, "-o", tmp_path / "m.pt", *SMALL, "--steps", "1", "--classes", classes))
    ground, cell = load(tmp_path / "m.pt").contract.classes
    assert (ground.name, cell.name, cell.color) == ("ground", "cell", (0, 255, 0))


def test_a_training_without_foreground_is_refused(tmp_path: Path, refused: Callable[..., str]) -> None:
    for path in (write_pairs(tmp_path / "data") / "masks").iterdir():
        put(path, np.zeros((40, 40), np.uint8))
    assert refused(tmp_path / "data").startswith("error: all masks are empty")


@pytest.mark.parametrize(
    "spoil", ["size mismatch", "broken image", "broken mask", "colour mask", "stray value", "no masks"]
)
def test_evaluate_of_bad_data_is_one_line(tmp_path: Path, model: Path, spoil: str) -> None:
    BAD_DATA[spoil][0](write_pairs(tmp_path / "data"))
    error_of(seg_edge("evaluate", model, tmp_path / "data"))


def test_help_does_not_import_torch() -> None:
    code = "import sys, click.testing as t, seg_toolkit.cli.train as c; r = t.CliRunner().invoke(c.main, ['-h']); "
    code += "assert r.exit_code == 0 and '--resume' in r.output; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_trained_model_is_not_replaced_unasked(tmp_path: Path, model: Path) -> None:
    out = tmp_path / "kept.pt"
    out.write_bytes(model.read_bytes())
    data = write_pairs(tmp_path / "data")
    assert "--overwrite" in error_of(seg_train(data, "-o", out, *SMALL, "--steps", "1"))
    assert out.read_bytes() == model.read_bytes()
    ok(seg_train(data, "-o", out, *SMALL, "--steps", "1", "--overwrite"))
    assert out.read_bytes() != model.read_bytes()


def test_scores_never_replace_the_model(tmp_path: Path, model: Path) -> None:
    before = model.read_bytes()
    assert "is the model" in error_of(seg_edge("evaluate", model, write_pairs(tmp_path), "--json", model))
    assert model.read_bytes() == before


@pytest.mark.parametrize("option", ["--val-fraction", "--border-weight", "--dice-weight", "--balance"])
def test_not_a_number_is_refused(tmp_path: Path, refused: Callable[..., str], option: str) -> None:
    assert f"{option} is nan" in refused(write_pairs(tmp_path / "data"), option, "nan")
