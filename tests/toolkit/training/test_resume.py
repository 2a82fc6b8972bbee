"""Runs that go on: longer, with other settings and with more images."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from seg_toolkit.checkpoints import load, save
from seg_toolkit.training import RunFiles

from tests.support.commands import error_of, ok, seg_train
from tests.support.folders import write_pairs
from tests.support.images import disc, put
from tests.support.training import planned, run

# as small as a window can be: a run of four steps takes a tenth of a second
TINY = ("--width", "2", "--depth", "1", "--input-size", "28", "--workers", "0", "--geometry", "fit", "--device", "cpu")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with five images and the model of a finished run of four steps: a0 is its validation image."""
    folder = tmp_path_factory.mktemp("finished")
    write_pairs(folder / "data", 5)
    words = (*TINY, "--steps", "4", "--val-list", listed(folder, "a0"))
    ok(seg_train(folder / "data", "-o", folder / "m.pt", *words))
    return folder


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A copy of that model, with images of its own in the folder data beside it."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    config = RunFiles(tmp_path / "m.pt").config
    config.write_text(config.read_text().replace(str(finished), str(tmp_path)))
    return tmp_path / "m.pt"


@pytest.fixture
def data(out: Path) -> Path:
    return out.parent / "data"


def listed(folder: Path, *names: str) -> Path:
    file = folder / f"{'-'.join(names)}.txt"
    file.write_text("\n".join(names))
    return file


def steps_of(out: Path) -> list[int]:
    return [int(row["step"]) for row in csv.DictReader(out.with_suffix(".csv").open())]


def changes(out: Path) -> tuple[dict[str, object], ...]:
    return load(RunFiles(out).state).training["settings"]["continued"]  # type: ignore[no-any-return]


def test_a_finished_run_goes_on_with_more_steps(out: Path) -> None:
    told = ok(seg_train("-o", out, "--resume", "--steps", "8")).stderr  # DATA and the network are those of the run
    assert "continued at step 4: --steps 4 → 8" in told
    assert "learning rate: 6.2e-04 now, as in a run of 8 steps, down to 1.0e-05" in told
    assert steps_of(out) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert changes(out) == ({"step": 4, "steps": [4, 8]},)
    assert load(out).contract.provenance["settings"]["steps"] == 8
    ok(seg_train("-o", out, "--resume", "--steps", "9", "--lr", "1e-4"))  # the options of the last part are kept
    assert changes(out)[1:] == ({"step": 8, "steps": [8, 9], "lr": [1e-3, 1e-4]},)


def test_a_finished_run_says_how_it_goes_on(out: Path, data: Path) -> None:
    told = ok(seg_train("-o", out, "--resume"))
    assert "note: the run is finished; more steps in all, such as --steps 8, continue it" in told.stderr
    assert "keeps the weights of step" in told.stdout
    assert changes(out) == ()
    assert "Continue with --resume --steps 8, or start again with" in error_of(seg_train(data, "-o", out, *TINY))


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["--lr", "1e-4"], "lr"), (["--batch-size", "3"], "batch_size"), (["--optimizer", "sgd", "--lr", "1e-3"], "optimizer"),
        (["--class-weights", "balance"], "class_weights"), (["--balance", "0.1"], "balance"), (["--augment", "none"], "augment"),
        (["--dice-weight", "0"], "dice_weight"), (["--border-weight", "3"], "border_weight"), (["--seed", "1"], "seed"),
        (["--dropout", "0"], "steps"), (["--workers", "1"], "steps"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)  # fmt: skip
def test_what_the_model_file_does_not_depend_on_can_change(out: Path, words: list[str], name: str) -> None:
    ok(seg_train("-o", out, "--resume", "--steps", "5", *words))
    (entry,) = changes(out)
    assert entry.keys() == {"step", "steps", name}


def test_another_learning_rate_is_used(out: Path) -> None:
    ok(seg_train("-o", out, "--resume", "--steps", "5", "--lr", "1e-9"))
    before, after = (load(path).training for path in (RunFiles(out).state,) * 2)
    [group] = after["optimizer"]["param_groups"]
    assert group["initial_lr"] == 1e-9
    assert before["step"] == 5


def test_windows_go_on_where_they_ended_with_another_batch_size(out: Path) -> None:
    ok(seg_train("-o", out, "--resume", "--steps", "6", "--batch-size", "3"))
    assert load(RunFiles(out).state).training["windows"] == 4 * 2 + 2 * 3


@pytest.mark.parametrize(
    ("words", "says", "way"),
    [
        (["--width", "3"], "--width 2 → 3", "--overwrite"),
        (["--network", "attention"], "--network unet → attention", "--overwrite"),
        (["--norm", "batch"], "--norm none → batch", "--overwrite"),
        (["--recipe", "semantic"], "--recipe none → semantic", "--overwrite"),
        (["--input-size", "44"], "--input-size 28 → 44", "--from"),
        (["--channels", "3"], "--channels 1 → 3", "--from"),
        (["--intensity", "scale"], "--intensity standardize → scale", "--from"),
        (["--intensity", "standardize:0.5,0.5"], "the numbers of --intensity", "--from"),
        (["--geometry", "stretch"], "--geometry fit → stretch", "--from"),
        (["--classes", "background=0,cell=255"], "--classes background=0,foreground=255 → background=0,cell=255", "--from"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)  # fmt: skip
def test_what_makes_the_model_cannot_change(out: Path, words: list[str], says: str, way: str) -> None:
    before = out.read_bytes(), RunFiles(out).state.read_bytes(), RunFiles(out).config.read_bytes()
    told = error_of(seg_train("-o", out, "--resume", "--steps", "8", *words))
    assert says in told
    assert way in told
    assert (out.read_bytes(), RunFiles(out).state.read_bytes(), RunFiles(out).config.read_bytes()) == before


def test_fewer_steps_than_are_done_are_refused(out: Path) -> None:
    told = error_of(seg_train("-o", out, "--resume", "--steps", "3"))
    assert "--steps is 3, but the run of" in told
    assert "has done 4" in told


def test_epochs_take_the_place_of_the_steps_of_the_run(out: Path) -> None:
    ok(seg_train("-o", out, "--resume", "--epochs", "3"))  # 4 training images, 2 in a step
    assert load(RunFiles(out).state).training["step"] == 6


def test_added_images_are_trained_on_and_old_ones_stay_on_their_side(out: Path, data: Path, tmp_path: Path) -> None:
    for place in range(5, 10):
        put(data / "images" / f"a{place}.png", (disc(radius=2.0 + place) // 3).astype(np.uint8))
        put(data / "masks" / f"a{place}.png", disc(radius=2.0 + place))
    (data / "images" / "a0.png").rename(data / "images" / "renamed.png")  # of the validation
    (data / "masks" / "a0.png").rename(data / "masks" / "renamed.png")
    more = ("--steps", "5", "--val-list", listed(tmp_path, "renamed", "a7"))
    told = ok(seg_train("-o", out, "--resume", *more)).stderr
    assert "5 images added" in told
    assert "the best model so far is scored again" in told
    split = load(RunFiles(out).state).split.to_dict()
    assert {side: sorted(names) for side, names in split.items()} == {
        "training": ["a1", "a2", "a3", "a4", "a5", "a6", "a8", "a9"], "validation": ["a7", "renamed"], "earlier": [],
    }  # fmt: skip
    assert load(out).contract.provenance["validation"]["images"] == 2
    assert changes(out)[0]["added_images"] == 5


def test_the_share_of_validation_images_is_kept_when_images_are_added(tmp_path: Path) -> None:
    data, out = write_pairs(tmp_path / "data", 5), tmp_path / "m.pt"
    ok(seg_train(data, "-o", out, *TINY, "--steps", "1"))
    write_pairs(data, 6)  # a fifth of six is still one image
    ok(seg_train("-o", out, "--resume", "--steps", "2"))
    assert len(load(RunFiles(out).state).split.validation) == 1
    write_pairs(data, 8)
    ok(seg_train("-o", out, "--resume", "--steps", "3"))
    assert len(load(RunFiles(out).state).split.validation) == 2


def test_added_images_do_not_move_the_intensity(out: Path, data: Path) -> None:
    before = load(RunFiles(out).state).contract
    put(data / "images" / "z.png", np.full((40, 40), 250, np.uint8))
    put(data / "masks" / "z.png", disc())
    ok(seg_train("-o", out, "--resume", "--steps", "5"))
    assert load(RunFiles(out).state).contract.input == before.input


def test_images_that_are_gone_are_named(out: Path, data: Path) -> None:
    for folder in ("images", "masks"):
        (data / folder / "a1.png").unlink()
    assert "1 training image of the run is gone: a1" in ok(seg_train("-o", out, "--resume", "--steps", "5")).stderr
    for folder in ("images", "masks"):
        (data / folder / "a0.png").unlink()
    told = error_of(seg_train("-o", out, "--resume", "--steps", "6"))
    assert "1 validation image of the run is gone: a0" in told


def test_renumbered_images_keep_their_side(out: Path, data: Path) -> None:
    before = load(RunFiles(out).state).split
    for folder in ("images", "masks"):  # a0 is the validation image
        one, other = (data / folder / name for name in ("a0.png", "a1.png"))
        (data / folder / "aside.png").write_bytes(one.read_bytes())
        one.write_bytes(other.read_bytes())
        (data / folder / "aside.png").replace(other)
    ok(seg_train("-o", out, "--resume", "--steps", "5"))
    after = load(RunFiles(out).state).split
    assert list(after.validation) == ["a1"]
    assert (set(after.validation.values()), after.seen) == (set(before.validation.values()), before.seen)


def test_an_image_that_was_removed_is_not_forgotten(out: Path, data: Path) -> None:
    digest = load(RunFiles(out).state).split.training["a1"]
    kept = {folder: (data / folder / "a1.png").read_bytes() for folder in ("images", "masks")}
    for folder in kept:
        (data / folder / "a1.png").unlink()
    for steps in ("5", "6"):
        ok(seg_train("-o", out, "--resume", "--steps", steps))
    split = load(RunFiles(out).state).split
    assert (split.earlier, "a1" in split.training) == ((digest,), False)
    for folder, content in kept.items():
        (data / folder / "back.png").write_bytes(content)
    ok(seg_train("-o", out, "--resume", "--steps", "7", "--val-fraction", "0.9"))
    split = load(RunFiles(out).state).split
    assert (split.earlier, split.training["back"]) == ((), digest)


def test_a_finished_run_learns_nothing_of_added_images(out: Path, data: Path) -> None:
    put(data / "images" / "z.png", disc(radius=3.0))
    put(data / "masks" / "z.png", disc(radius=3.0))
    before = [path.read_bytes() for path in (out, RunFiles(out).split)]
    assert "the run is finished; more steps in all" in ok(seg_train("-o", out, "--resume")).stderr
    assert [path.read_bytes() for path in (out, RunFiles(out).split)] == before


def test_weights_that_stay_the_best_have_not_seen_added_images(out: Path, data: Path, tmp_path: Path) -> None:
    put(data / "images" / "z.png", disc(radius=3.0))
    put(data / "masks" / "z.png", disc(radius=3.0))
    put(data / "images" / "y.png", disc(radius=5.0))
    put(data / "masks" / "y.png", disc(radius=5.0))
    more = ("--steps", "5", "--lr", "3", "--val-list", listed(tmp_path, "a0", "y"))
    best = load(out)
    best.state["head.weight"].zero_()
    best.state["head.bias"][:] = torch.tensor([1.0, 0.0])  # background only, which the next step does not surpass
    save(best, out)
    ok(seg_train("-o", out, "--resume", *more))
    best = load(out)
    assert best.contract.provenance["settings"]["best_step"] < 5
    assert "z" not in best.split.training
    assert "y" in best.split.validation
    assert "z" in load(RunFiles(out).state).split.training


def test_the_split_of_a_run_does_not_follow_a_fold(out: Path) -> None:
    before = load(RunFiles(out).state).split
    told = ok(seg_train("-o", out, "--resume", "--steps", "5", "--fold", "1/3")).stderr
    assert "note: --resume keeps the split of the run, so --fold is ignored" in told
    assert load(RunFiles(out).state).split == before


def test_a_list_does_not_move_an_image_from_training_to_validation(out: Path, tmp_path: Path) -> None:
    told = error_of(seg_train("-o", out, "--resume", "--steps", "5", "--val-list", listed(tmp_path, "a0", "a2")))
    assert "names a2, on which this run has trained" in told


def test_other_images_need_a_new_model(out: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    put(other / "images" / "b.png", np.arange(1600, dtype=np.uint8).reshape(40, 40))
    put(other / "images" / "c.png", np.arange(1600, dtype=np.uint8).reshape(40, 40).T)
    for name in "bc":
        put(other / "masks" / f"{name}.png", disc())
    told = error_of(seg_train(other, "-o", out, "--resume", "--steps", "8"))
    assert "has no image on which the run of" in told
    assert f"--from {out} -o NEW.pt" in told


def test_a_new_class_needs_a_new_model(out: Path, data: Path) -> None:
    mask = disc()
    mask[:3, :3] = 128
    put(data / "images" / "z.png", disc() // 2)
    put(data / "masks" / "z.png", mask)
    told = error_of(seg_train("-o", out, "--resume", "--steps", "8"))
    assert "contains the value 128 in 9 px" in told
    assert f"for a new class start a new model from this one: --from {out}" in told


def test_a_run_without_its_file_of_options_names_what_differs(out: Path, data: Path) -> None:
    RunFiles(out).config.unlink()
    ok(seg_train(data, "-o", out, "--resume", "--steps", "5", "--device", "cpu", "--workers", "0"))
    assert load(RunFiles(out).state).network["width"] == 2


def test_the_end_does_not_depend_on_the_steps_asked_for_first(data: Path, tmp_path: Path) -> None:
    """The learning rate is a function of the step and the length alone, so the second half is that of a run of 8 steps."""
    rates = {}
    for name, parts in (("whole", [8]), ("halves", [4, 8])):
        for steps in parts:
            words = [*TINY, "--optimizer", "sgd", "--steps", steps]
            ok(seg_train(data, "-o", tmp_path / f"{name}.pt", *words, *(["--resume"] if steps > parts[0] else [])))
        rates[name] = load(RunFiles(tmp_path / f"{name}.pt").state).training["schedule"]["_last_lr"]
    assert rates["whole"] == rates["halves"]


def test_a_longer_run_that_is_interrupted_goes_on_as_if_it_had_not_been(out: Path, data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "m.pt"
    shutil.copytree(out.parent, broken.parent, ignore=shutil.ignore_patterns("data", "broken"))
    ok(seg_train("-o", out, "--resume", "--steps", "8"))

    def stop(step: int, loss: float, result: dict[str, Any] | None) -> None:
        if step == 6 and result:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(planned(data, broken, *TINY, "--resume", "--steps", "8"), watch=stop)
    assert load(RunFiles(broken).state).training["step"] == 6
    ok(seg_train("-o", broken, "--resume", "--steps", "8"))
    one, other = (load(RunFiles(path).state).training for path in (out, broken))
    assert all(torch.equal(value, other["model"][name]) for name, value in one["model"].items())
    assert one["settings"] == other["settings"]


def test_options_of_an_interrupted_run_are_compared_before_images_are_read(out: Path) -> None:
    shutil.rmtree(out.parent / "data" / "masks")
    told = seg_train("-o", out, "--resume", "--width", "3").stderr
    assert "--width 2 → 3" in told
    assert told.count("\n") == 1


def test_a_resumed_run_without_changes_records_nothing(out: Path) -> None:
    state = load(RunFiles(out).state)
    ok(seg_train("-o", out, "--resume"))
    again = load(RunFiles(out).state)
    assert all(torch.equal(again.training["model"][k], v) for k, v in state.training["model"].items())


def test_a_run_whose_best_model_is_gone_says_what_to_do(out: Path) -> None:
    out.unlink()
    told = error_of(seg_train("-o", out, "--resume", "--steps", "5"))
    assert "the best model so far of the run in m.resume.pt, is gone" in told
    assert "--overwrite" in told


@pytest.mark.parametrize("add", [False, True])
def test_the_file_that_repeats_a_run_stays_if_nothing_is_learned(out: Path, data: Path, add: bool) -> None:
    if add:
        put(data / "images" / "z.png", disc(radius=3.0))
        put(data / "masks" / "z.png", disc(radius=3.0))
    before = RunFiles(out).config.read_text()
    assert "val-list" in before
    ok(seg_train("-o", out, "--resume"))
    assert RunFiles(out).config.read_text() == before
    ok(seg_train("-o", out, "--resume", "--steps", "5"))
    assert "It continued a run at step 4" in RunFiles(out).config.read_text()
