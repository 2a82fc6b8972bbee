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
        ("classes = ['a']", "sets classes to ['a']; expected a string, a number, true or false"),
        ("width = ", "cannot be read"),
        ("width = " + "[" * 3000, "cannot be read (its values are nested too deeply)"),
        ("width = 0x" + "f" * 9000, "cannot be read (Exceeds the limit"),
        ("width = 'wide'", "'wide' is not a valid integer range"),
        ("width = 0", "0 is not in the range x>=1"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "run.toml").write_text(text)
    done = seg_train(tmp_path, "--config", tmp_path / "run.toml")
    assert done.exit_code == 2
    assert problem in done.stderr
    assert seg_train(tmp_path, "--config", tmp_path / "none.toml").exit_code == 2
