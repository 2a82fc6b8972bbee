from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from seg_toolkit.checkpoints import load, weights_sha256
from seg_toolkit.training import RunFiles

from tests.support.commands import ok, seg_train
from tests.support.folders import SMALL, write_pairs
from tests.support.training import planned, run

LONG = ["--steps", "80"]  # an evaluation, and with it a state, every 8 steps


def final_weights(out: Path) -> dict[str, torch.Tensor]:
    """Trained and averaged weights in the state that the run left."""
    training = load(RunFiles(out).state).training
    return {f"{part} {k}": v for part in ("model", "average") for k, v in training[part].items()}


def assert_same_end(one: Path, other: Path) -> None:
    a, b = final_weights(one), final_weights(other)
    assert a.keys() == b.keys()
    assert [k for k in a if not torch.equal(a[k], b[k])] == []


@pytest.fixture(scope="session")
def unbroken(cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a run of 80 steps that nothing interrupted, log and state beside it."""
    out = tmp_path_factory.mktemp("unbroken") / "model.pt"
    run(planned(cells, out, *LONG))
    return out


def test_loss_falls(tmp_path: Path) -> None:
    options = ("--steps", "60", "--lr", "1e-2", "--augment", "none", "--width", "4", "--dropout", "0")
    losses: list[float] = []
    plan = planned(write_pairs(tmp_path), tmp_path / "model.pt", *options)
    run(plan, watch=lambda step, loss, result: losses.append(loss) if result is None else None)
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_sgd_trains_too(tmp_path: Path) -> None:
    options = ("--steps", "2", "--optimizer", "sgd", "--skip", "resize", "--batch-size", "2")
    plan = planned(write_pairs(tmp_path), tmp_path / "model.pt", *options)
    before = weights_sha256(plan.model)
    run(plan)
    assert weights_sha256(plan.model) != before


def test_epochs_count_passes_over_the_training_images(tmp_path: Path) -> None:
    plan = planned(write_pairs(tmp_path, 5), tmp_path / "model.pt", "--epochs", "3", "--batch-size", "2")
    assert plan.settings.steps == 6  # 4 images, 3 times, 2 at a time


@pytest.mark.parametrize("workers", [0, 2])
def test_same_seed_gives_the_same_weights(cells: Path, tmp_path: Path, workers: int) -> None:
    for name in ("one", "two"):
        run(planned(cells, tmp_path / name, "--steps", "3"), workers if name == "two" else 0)
    assert_same_end(tmp_path / "one", tmp_path / "two")


def test_another_seed_gives_other_weights(cells: Path, tmp_path: Path) -> None:
    one, two = (planned(cells, tmp_path / "m.pt", "--seed", seed).model for seed in ("0", "1"))
    assert weights_sha256(one) != weights_sha256(two)


def test_best_checkpoint_says_how_it_was_made(unbroken: Path) -> None:
    best = load(unbroken)
    provenance = best.contract.provenance
    assert provenance["weights_sha256"] == weights_sha256(best.build())
    assert provenance["settings"]["steps"] == 80
    assert best.training == {}


def test_best_checkpoint_is_the_best_of_the_log(unbroken: Path) -> None:
    rows = list(csv.DictReader(unbroken.with_suffix(".csv").open()))
    provenance = load(unbroken).contract.provenance
    best = max(rows, key=lambda row: float(row["dice"]))
    assert provenance["validation"]["mean_dice"] == pytest.approx(float(best["dice"]))
    assert provenance["settings"]["best_step"] == int(best["step"])


def test_log_has_a_row_per_evaluation(unbroken: Path) -> None:
    rows = list(csv.DictReader(unbroken.with_suffix(".csv").open()))
    assert [int(row["step"]) for row in rows] == list(range(8, 81, 8))
    assert all(0 < float(row["loss"]) < 10 and 0 <= float(row["dice"]) <= 1 for row in rows)


@pytest.mark.parametrize("name", ["curve", "preview"])
def test_pictures_lie_beside_the_model(unbroken: Path, name: str) -> None:
    with Image.open(unbroken.with_suffix(f".{name}.png")) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert min(pixels.shape[:2]) > 200
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


def test_nothing_else_lies_beside_the_model(unbroken: Path) -> None:
    assert sorted(p.name for p in unbroken.parent.iterdir()) == [
        "model.csv", "model.curve.png", "model.preview.png", "model.pt", "model.resume.pt", "model.split.json",
    ]  # fmt: skip


def start(data: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """`seg-train` in a process of its own, in a process group of its own, as a shell starts it."""
    code = "from seg_toolkit.cli.train import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(data), "-o", str(out), *SMALL, *options],
        text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < until, "no state after a minute"
        time.sleep(0.01)


def test_resume_after_a_kill_ends_with_the_weights_of_an_unbroken_run(
    cells: Path, unbroken: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model.pt"
    process = start(cells, out, *LONG)
    wait_for(RunFiles(out).state, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 0 < load(RunFiles(out).state).training["step"] < 80
    run(planned(cells, out, *LONG, "--resume"))
    assert load(RunFiles(out).state).training["step"] == 80
    assert_same_end(out, unbroken)
    assert out.with_suffix(".csv").read_text() == unbroken.with_suffix(".csv").read_text()
    assert weights_sha256(load(out).build()) == weights_sha256(load(unbroken).build())


def test_ctrl_c_keeps_the_state_and_says_so_in_one_line(cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.pt"
    process = start(cells, out, *LONG, "--workers", "1")
    wait_for(RunFiles(out).state, process)
    os.killpg(process.pid, signal.SIGINT)  # a terminal tells the whole group
    _, said = process.communicate(timeout=60)
    assert process.returncode not in (0, -signal.SIGINT)
    assert "Traceback" not in said
    assert "interrupted" in said.splitlines()[-1]
    assert "--resume" in said.splitlines()[-1]
    assert 0 < load(RunFiles(out).state).training["step"] < 80
    run(planned(cells, out, *LONG, "--resume"))
    assert load(RunFiles(out).state).training["step"] == 80


def interrupted(cells: Path, out: Path, when: str) -> None:
    """Run and resume 20 steps, with Ctrl-C between two steps, or in one of them or in an evaluation."""
    plan = planned(cells, out, "--steps", "20")
    forwards = [0]

    def press(module: Any, given: Any, result: Any) -> None:
        if module.training == (when == "step"):
            forwards[0] += 1
            if forwards[0] == 5:
                raise KeyboardInterrupt

    def watch(step: int, loss: float, result: dict[str, Any] | None) -> None:
        if when == "between" and step == 5:
            raise KeyboardInterrupt

    if when != "between":
        plan.model.dropout.register_forward_hook(press)
    with pytest.raises(KeyboardInterrupt):
        run(plan, watch=watch)
    run(planned(cells, out, "--steps", "20", "--resume"))


@pytest.mark.parametrize("when", ["between", "step", "evaluation"])
def test_resume_after_ctrl_c_ends_with_the_weights_of_an_unbroken_run(cells: Path, tmp_path: Path, when: str) -> None:
    run(planned(cells, tmp_path / "whole.pt", "--steps", "20"))
    interrupted(cells, tmp_path / "broken.pt", when)
    assert_same_end(tmp_path / "whole.pt", tmp_path / "broken.pt")


@pytest.mark.parametrize("when", ["between", "evaluation"])
def test_resume_after_ctrl_c_leaves_a_whole_log(cells: Path, tmp_path: Path, when: str) -> None:
    interrupted(cells, tmp_path / "broken.pt", when)
    rows = csv.DictReader((tmp_path / "broken.csv").open())
    assert [int(row["step"]) for row in rows] == list(range(2, 21, 2))


def test_resume_of_a_finished_run_ends_well(cells: Path, tmp_path: Path) -> None:
    arguments = [cells, "-o", tmp_path / "model.pt", *SMALL, "--steps", "2"]
    ok(seg_train(*arguments))
    ok(seg_train(*arguments, "--resume"))


def test_resumed_run_that_finds_nothing_better_returns_the_best(cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.pt"

    def watch(step: int, loss: float, result: dict[str, Any] | None) -> None:
        if result is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(planned(cells, out, "--steps", "20"), watch=watch)
    plan = planned(cells, out, "--steps", "20", "--resume")
    assert plan.state
    plan.state.training["best"] = 1.1  # no evaluation to come can reach it
    kept = run(plan)
    assert weights_sha256(kept.build()) == weights_sha256(load(out).build())
    assert "validation" in kept.contract.provenance


def test_numbers_that_are_no_longer_finite_stop_the_run_and_spoil_nothing(cells: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.pt"
    ok(seg_train(cells, "-o", out, *SMALL, "--steps", "1"))
    result = seg_train(cells, "-o", out, *SMALL, "--steps", "40", "--lr", "100", "--optimizer", "sgd", "--overwrite")
    assert result.exit_code == 1
    assert "finite" in result.stderr.splitlines()[-1]
    assert "--lr" in result.stderr.splitlines()[-1]
    assert all(bool(w.isfinite().all()) for w in final_weights(out).values())
    assert load(out).build()


@pytest.mark.parametrize("lr", ["nan", "1e38", "1e30"])
def test_hopeless_learning_rate_leaves_no_spoiled_model(cells: Path, tmp_path: Path, lr: str) -> None:
    out = tmp_path / "model.pt"
    result = seg_train(cells, "-o", out, *SMALL, "--steps", "1", "--lr", lr)
    assert not out.exists() or bool(load(out).build()(torch.randn(1, 1, 204, 204)).isfinite().all())
    assert result.exit_code != 0
