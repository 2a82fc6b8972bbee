"""Options from a file, and the file that repeats a training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from seg_toolkit.checkpoints import load
from seg_toolkit.options.config import parse_toml

from tests.support.commands import ok, seg_train
from tests.support.folders import SMALL, write_pairs


def test_the_file_that_a_training_leaves_repeats_it(tmp_path: Path) -> None:
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    ok(seg_train(data, "-o", out, *SMALL, "--steps", "2", "--seed", "7", "--val-fraction", "0.4"))
    told = parse_toml((tmp_path / "m.options.toml").read_text())
    assert (told["training"]["seed"], told["training"]["steps"], told["data"]["val-fraction"]) == (7, 2, 0.4)
    assert "overwrite" not in told["output"]
    ok(seg_train("--config", tmp_path / "m.options.toml", "-o", tmp_path / "again.pt"))
    first, again = load(out), load(tmp_path / "again.pt")
    assert all(torch.equal(a, b) for a, b in zip(first.state.values(), again.state.values(), strict=True))
    assert "exists" in seg_train("--config", tmp_path / "m.options.toml").stderr


def test_a_file_that_a_person_wrote_for_the_model_stays(tmp_path: Path) -> None:
    data, own = write_pairs(tmp_path / "data"), tmp_path / "m.toml"
    own.write_text("# found by trying\nseed = 7\n")
    ok(seg_train(data, "--config", own, "-o", tmp_path / "m.pt", *SMALL, "--steps", "1"))
    assert own.read_text() == "# found by trying\nseed = 7\n"


def test_the_command_line_goes_before_the_file_and_the_file_before_a_recipe(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "data")
    (tmp_path / "run.toml").write_text(
        f'data = "{data}"\nrecipe = "semantic"\n[network]\nwidth = 3\ndropout = 0.3\n[training]\nworkers = 0\nbatch_size = 1\n'
    )
    words = ["--depth", "1", "--input-size", "28", "--steps", "1", "--device", "cpu"]
    for more, width in ((["--width", "2"], 2), ([], 3)):
        out = tmp_path / f"{width}.pt"
        ok(seg_train("--config", tmp_path / "run.toml", *words, *more, "-o", out))
        checkpoint = load(out)
        assert (checkpoint.network["width"], checkpoint.network["dropout"]) == (width, 0.3)
        assert checkpoint.contract.provenance["recipe"] == "semantic"
        assert checkpoint.contract.provenance["settings"]["batch_size"] == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("learning-rate = 1", "sets learning-rate, which is not an option of seg-train"),
        ("[network]\nwitdh = 3", "sets witdh, which is not an option of seg-train. Did you mean width?"),
        ("classes = ['a']", "sets classes to ['a']; expected a text in quotes"),
        ("width = ", "cannot be read"),
        ("width = 'wide'", "sets width to 'wide'; expected a whole number of 1 or more"),
        ("width = 0", "--width is 0; expected 1 or more"),
        ("steps = 2024-01-01", "sets steps to 2024-01-01; expected a whole number of 1 or more"),
        ("steps = 5.5", "sets steps to 5.5; expected a whole number"),
        ("steps = true", "sets steps to true; expected a whole number"),
        ("val-fraction = 2024-01-01", "expected a number above 0 and below 1"),
        ("lr = true", "sets lr to true; expected a number"),
        ("overwrite = 'yes'", "sets overwrite to 'yes'; expected true or false"),
        ("val-list = 12", "sets val-list to 12; expected a text in quotes"),
        ("data = 5", "sets data to 5; expected a text in quotes"),
        ("reader = 1979-05-27T07:32:00Z", "sets reader to 1979-05-27 07:32:00+00:00; expected a text in quotes"),
        ("skip = 1", "sets skip to 1; expected crop or resize"),
        ("input-size = 1.5", "sets input-size to 1.5; expected one number, or one for each axis"),
        ("version = true", "sets version, which has no effect in a file"),
        ("config = 'a.toml'", "sets config, which has no effect in a file"),
        (
            "[trainin]\nsteps = 5",
            "has the table [trainin]; expected data, device, network, output, training. Did you mean training?",
        ),
        ("[training.deep]\nsteps = 5", "sets deep, which is not an option"),
        ("steps = 2\n[data]\nsteps = 3", "sets steps twice"),
        ("batch-size = 2\nbatch_size = 3", "sets batch_size twice"),
        ("width = " + "[" * 3000, "cannot be read (its values are nested too deeply)"),
        ("width = 0x" + "f" * 9000, "cannot be read (Exceeds the limit"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    done = seg_train(tmp_path, "--config", tmp_path / "run.toml")
    assert done.exit_code == 2
    assert problem in done.stderr


def test_a_file_that_is_not_there_is_refused_without_the_words_of_the_system(tmp_path: Path) -> None:
    done = seg_train(tmp_path, "--config", tmp_path / "none.toml")
    assert done.exit_code == 2
    assert "none.toml does not exist; expected a TOML file" in done.stderr


def test_values_of_the_right_type_are_taken(tmp_path: Path) -> None:
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    (tmp_path / "run.toml").write_text(
        "steps = 1\nwidth = 2\ndepth = 1\ninput-size = 28\nlr = 1\n[device]\ndevice = 'cpu'\noverwrite = true\nworkers = 0\n"
    )
    ok(seg_train(data, "--config", tmp_path / "run.toml", "-o", out))
    assert load(out).contract.geometry.input_shape == (28, 28)
    assert load(out).contract.provenance["settings"]["lr"] == 1.0
