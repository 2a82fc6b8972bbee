"""What `seg-run` makes of the files that it is given."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from PIL import Image
from seg_runtime.model.contract import METADATA_KEY

from tests.support.commands import errors, in_a_process
from tests.support.damage import resealed
from tests.support.folders import listing
from tests.support.images import noise_image, picture
from tests.support.models import MakeModel
from tests.support.tools import missing


def test_files_that_are_no_images_are_named_and_results_are_not(model_file: Path) -> None:
    picture("in/a.png")
    Path("in/notes.txt").write_text("field 1")
    Path("in/scene.svg").write_text("<svg/>")
    for _ in range(2):  # the second time, the results are in the folder
        done = in_a_process("seg-run", "--model", model_file, "--out", "in", "in")
        assert done.returncode == 0
        assert (
            "note: 2 files in the folders are not images that the model takes: in/notes.txt, in/scene.svg"
            in done.stderr
        )


def test_other_picture_formats_are_read(model_file: Path) -> None:
    image = Image.fromarray(noise_image(30, 40))
    Path("in").mkdir()
    for suffix in ("png", "webp", "gif", "jp2", "ppm", "bmp"):
        image.save(f"in/{suffix}.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    done = in_a_process("seg-run", "--model", model_file, "--out", "out", "in")
    assert done.returncode == 0, done.stderr
    assert len(listing()) == 18


def test_a_foreign_image_gets_a_note_and_a_warning_in_its_record(make_model: MakeModel) -> None:
    known = {"high": [0.5, 1.0], "middle": [0.3, 0.7]}

    def learnt(proto: onnx.ModelProto) -> None:
        (entry,) = [entry for entry in proto.metadata_props if entry.key == METADATA_KEY]
        found = json.loads(entry.value)
        entry.value = json.dumps({**found, "policy": {**found["policy"], "grey_values": known}})

    model = Path("model.onnx")
    model.write_bytes(resealed(make_model(channels=1).path, learnt))
    dark = noise_image(60, 70, 1)[..., 0].astype(np.uint16) * 16
    Image.fromarray(dark).save("dark.tif")
    Image.fromarray(noise_image(60, 70, 1)[..., 0]).save("good.png")
    done = in_a_process("seg-run", "--model", model, "--out", "out", "dark.tif", "good.png")
    assert done.returncode == 0
    assert done.stderr.count("note: ") == 1
    assert "note: dark.tif has bright values at " in done.stderr
    assert "of the range of uint16, the training images at 50% to 100%" in done.stderr
    (warning,) = json.loads(Path("out/dark.json").read_text())["warnings"]
    assert "if the camera has 12 bits, multiply the values by 16" in warning
    assert json.loads(Path("out/good.json").read_text())["warnings"] == []


def test_a_file_without_permission_fails_alone(model_file: Path) -> None:
    picture("denied.png")
    picture("good.png")
    Path("denied.png").chmod(0)
    words = ["seg-run", "--model", model_file, "--no-overlay", "--out", "out", "denied.png", "good.png"]
    command = [Path(sys.executable).with_name(words[0]), *words[1:]]
    if os.geteuid() == 0:  # who may read everything
        if not shutil.which("setpriv"):
            missing("setpriv is not installed")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = errors(done.stderr)
    assert "denied.png cannot be read (Permission denied)" in line
    assert listing() == ["good.json", "good_mask.png"]


def test_subfolders_that_are_not_searched_are_named(model_file: Path) -> None:
    for path in ("in/a.png", "in/one/b.png", "in/two/deep/c.png", "in/.hidden/d.png"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise_image(20, 20)).save(path)
    Path("in/texts").mkdir()
    Path("in/texts/notes.txt").write_text("no image")
    done = in_a_process("seg-run", "--model", model_file, "--out", "in/results", "in")
    assert "note: 2 subfolders not searched: in/one, in/two; pass --recursive to include them" in done.stderr
    again = in_a_process("seg-run", "--model", model_file, "--out", "in/results", "in")
    assert "in/results" not in again.stderr
    assert "subfolder" not in in_a_process("seg-run", "--model", model_file, "--out", "out", "--recursive", "in").stderr


def test_results_of_another_model_are_one_line_that_says_so(model_file: Path, make_model: MakeModel) -> None:
    Path("in").mkdir()
    for number in range(5):
        Image.fromarray(noise_image(20, 20)).save(f"in/{number}.png")
    in_a_process("seg-run", "--model", model_file, "--out", "out", "in")
    done = in_a_process("seg-run", "--model", make_model(seed=2).path, "--out", "out", "in")
    (line,) = errors(done.stderr)
    assert line.startswith("error: out/0.json is the record of another model, with the SHA-256 ")
    assert line.endswith("The same holds for 4 more results.")
    assert (done.returncode, "5 failed" in done.stdout) == (1, True)
