from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from seg_runtime import ImageError, Requirements, SegError, Segmenter
from seg_runtime.batch import BatchOptions, Task, find_tasks, run_tasks
from seg_runtime.formats import Failures

from tests.support.contracts import contract
from tests.support.images import noise_image, picture
from tests.support.models import Made, MakeModel
from tests.support.pictures import png, tiff


def found(inputs: list[Path], out: Path, recursive: bool = False, **options: Any) -> tuple[list[Task], Failures]:
    return find_tasks(inputs, out, recursive, contract(), BatchOptions(**options))


def go(segmenter: Segmenter, inputs: list[Path], out: Path, **options: Any) -> list[str | SegError]:
    tasks, failed = found(inputs, out, **options)
    assert not failed
    return [result for _, result in run_tasks(segmenter, tasks, BatchOptions(**options))]


@pytest.fixture(scope="module")
def segmenter(model: Made) -> Segmenter:
    return Segmenter(model.path, provider="cpu")


def stems(inputs: list[Path], out: Path, recursive: bool = False) -> list[str]:
    return [task.stem.relative_to(out).as_posix() for task in found(inputs, out, recursive)[0]]


def test_folders_are_opened_and_their_structure_kept(tmp_path: Path) -> None:
    for name in ("in/b.png", "in/a.TIF", "in/deep/c.jpg", "in/notes.txt", "in/.hidden.png"):
        picture(tmp_path / "x.png").rename(tmp_path / "x.png")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    out = tmp_path / "out"
    assert stems([tmp_path / "in"], out) == ["a", "b"]
    assert stems([tmp_path / "in"], out, recursive=True) == ["a", "b", "deep/c"]


def test_a_folder_without_images_fails_and_says_recursive(tmp_path: Path) -> None:
    tasks, failed = found([tmp_path], tmp_path)
    assert tasks == []
    assert "--recursive" in str(failed[0][1])


def test_the_same_file_twice_is_one_task(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    tasks, failed = found([path, path, tmp_path], tmp_path)
    assert (len(tasks), failed) == (1, [])


def test_two_files_for_one_mask_are_named(tmp_path: Path) -> None:
    first, second = picture(tmp_path / "a.png"), picture(tmp_path / "a.bmp")
    tasks, failed = found([first, second], tmp_path / "out")
    assert [t.source.path for t in tasks] == [first]
    assert [source for source, _ in failed] == [second]
    assert "a.png" in str(failed[0][1])
    assert "a.bmp" in str(failed[0][1])


def test_results_of_an_earlier_run_are_no_images(segmenter: Segmenter, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    go(segmenter, [tmp_path], tmp_path, overlay=True, probabilities="tiff")
    assert stems([tmp_path], tmp_path) == ["a"]


def test_an_image_called_mask_without_a_record_is_an_image(tmp_path: Path) -> None:
    picture(tmp_path / "face_mask.png")
    assert stems([tmp_path], tmp_path) == ["face_mask"]


def test_a_rerun_skips_and_overwrite_does_not(segmenter: Segmenter, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    out = tmp_path / "out"
    assert go(segmenter, [path], out) == ["done"]
    before = (out / "a.json").stat().st_mtime_ns
    assert go(segmenter, [path], out) == ["skipped"]
    assert (out / "a.json").stat().st_mtime_ns == before
    assert go(segmenter, [path], out, overwrite=True) == ["done"]
    assert (out / "a.json").stat().st_mtime_ns > before


def test_another_time_host_and_requirement_are_no_reason_to_run_again(
    segmenter: Segmenter, model: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = picture(tmp_path / "a.png")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert go(segmenter, [path], tmp_path) == ["done"]
    before = json.loads((tmp_path / "a.json").read_bytes())
    assert before["run"] == {"time": "1970-01-02T00:00:00+00:00", "host": platform.node()}
    assert before["model"]["required"] == {"run": [], "machine": []}
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    strict = Segmenter(model.path, provider="cpu", require=Requirements(sha256=(segmenter.model_sha256,)))
    assert go(strict, [path], tmp_path) == ["skipped"]
    assert json.loads((tmp_path / "a.json").read_bytes()) == before
    assert go(strict, [path], tmp_path, overwrite=True) == ["done"]
    after = json.loads((tmp_path / "a.json").read_bytes())
    assert after["run"]["host"] == "elsewhere"
    assert after["run"]["time"] > before["run"]["time"]
    assert after["model"]["required"] == {"run": ["sha256"], "machine": []}


def test_a_rerun_adds_what_was_not_asked_for_before(segmenter: Segmenter, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    go(segmenter, [path], tmp_path)
    assert go(segmenter, [path], tmp_path, overlay=True) == ["done"]
    assert (tmp_path / "a_overlay.png").exists()


def test_a_rerun_in_another_format_of_probabilities_writes_it(segmenter: Segmenter, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    go(segmenter, [path], tmp_path, probabilities="npy")
    go(segmenter, [path], tmp_path, probabilities="tiff")
    assert (tmp_path / "a_probabilities.tif").exists()


def test_a_lost_mask_is_made_again(segmenter: Segmenter, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    go(segmenter, [path], tmp_path)
    (tmp_path / "a_mask.png").unlink()
    assert go(segmenter, [path], tmp_path) == ["done"]
    assert (tmp_path / "a_mask.png").exists()


@pytest.mark.parametrize("name", ["a_mask.png", "a_overlay.png", "a_probabilities.npy", "a.json"])
def test_a_file_of_somebody_else_is_not_overwritten(segmenter: Segmenter, tmp_path: Path, name: str) -> None:
    path = picture(tmp_path / "in" / "a.png")
    (tmp_path / name).write_bytes(b"precious")
    (result,) = go(segmenter, [path], tmp_path, overlay=True, probabilities="npy")
    assert (tmp_path / name).read_bytes() == b"precious"
    assert isinstance(result, SegError)
    assert "--overwrite" in str(result)


def test_a_changed_input_is_not_taken_for_the_old_one(segmenter: Segmenter, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    go(segmenter, [path], tmp_path)
    picture(path, seed=1)
    (result,) = go(segmenter, [path], tmp_path)
    assert "the record of another image of the same name" in str(result)


def test_another_models_results_stay(segmenter: Segmenter, make_model: MakeModel, tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    go(segmenter, [path], tmp_path)
    before = (tmp_path / "a_mask.png").read_bytes()
    other = Segmenter(make_model(seed=2).path, provider="cpu")
    (result,) = go(other, [path], tmp_path)
    assert "another model" in str(result)
    assert (tmp_path / "a_mask.png").read_bytes() == before
    assert go(other, [path], tmp_path, overwrite=True) == ["done"]
    assert json.loads((tmp_path / "a.json").read_bytes())["model"]["sha256"] == other.model_sha256


def test_overwriting_with_another_model_leaves_no_stale_overlay(
    segmenter: Segmenter, make_model: MakeModel, tmp_path: Path
) -> None:
    path = picture(tmp_path / "a.png")
    go(segmenter, [path], tmp_path, overlay=True)
    go(Segmenter(make_model(seed=2).path, provider="cpu"), [path], tmp_path, overwrite=True)
    assert not (tmp_path / "a_overlay.png").exists()


@pytest.mark.parametrize("jobs", [1, 3])
def test_one_bad_image_among_many(segmenter: Segmenter, tmp_path: Path, jobs: int) -> None:
    paths = [picture(tmp_path / f"{i}.png", seed=i) for i in range(6)]
    paths[2].write_bytes(b"no picture")
    results = dict(zip("012345", [None] * 6, strict=True))
    tasks, _ = found(paths, tmp_path / "out")
    for task, result in run_tasks(segmenter, tasks, BatchOptions(jobs=jobs)):
        results[task.source.path.stem] = result  # type: ignore[assignment]
    assert isinstance(results.pop("2"), ImageError)
    assert set(results.values()) == {"done"}
    assert sorted(p.name for p in (tmp_path / "out").glob("*_mask.png")) == [f"{i}_mask.png" for i in (0, 1, 3, 4, 5)]


def test_each_result_is_that_of_its_image(segmenter: Segmenter, tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{i}.png", seed=i) for i in range(5)]
    go(segmenter, paths, tmp_path, jobs=3)
    for i, path in enumerate(paths):
        mask = np.asarray(Image.open(tmp_path / f"{i}_mask.png"))
        np.testing.assert_array_equal(mask, segmenter(path).labels)


def test_a_stack_gives_a_stack(segmenter: Segmenter, tmp_path: Path) -> None:
    stack = [noise_image(20, 30, seed=i) for i in range(3)]
    (tmp_path / "s.tif").write_bytes(tiff(stack))
    assert go(segmenter, [tmp_path / "s.tif"], tmp_path, overlay=True, probabilities="npy") == ["done"]
    with Image.open(tmp_path / "s_mask.tif") as mask:
        assert mask.n_frames == 3
        for i, page in enumerate(stack):
            mask.seek(i)
            np.testing.assert_array_equal(np.asarray(mask), segmenter(page).labels)
    assert np.load(tmp_path / "s_probabilities.npy").shape == (3, 2, 20, 30)
    record = json.loads((tmp_path / "s.json").read_bytes())
    assert record["input"]["pages"] == len(record["pages"]) == 3
    assert record["outputs"]["mask"] == "s_mask.tif"


def test_a_stack_of_unequal_pages_has_no_npy(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "s.tif").write_bytes(tiff([noise_image(20, 30), noise_image(10, 30)]))
    (result,) = go(segmenter, [tmp_path / "s.tif"], tmp_path, probabilities="npy")
    assert "--probabilities tiff" in str(result)
    assert not (tmp_path / "s.json").exists()


def test_after_that_failure_the_advice_works(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "s.tif").write_bytes(tiff([noise_image(20, 30), noise_image(10, 30)]))
    go(segmenter, [tmp_path / "s.tif"], tmp_path, probabilities="npy")
    assert go(segmenter, [tmp_path / "s.tif"], tmp_path, probabilities="tiff") == ["done"]


@pytest.mark.parametrize("kind", ["npy", "tiff"])
def test_probabilities_on_disk_are_those_of_the_segmenter(segmenter: Segmenter, tmp_path: Path, kind: str) -> None:
    path = picture(tmp_path / "a.png", height=90, width=70)
    go(segmenter, [path], tmp_path, probabilities=kind)
    wanted = segmenter(path).probabilities
    if kind == "npy":
        got = np.load(tmp_path / "a_probabilities.npy")
    else:
        with Image.open(tmp_path / "a_probabilities.tif") as file:
            got = np.stack([np.asarray(file) for k in range(file.n_frames) if file.seek(k) is None])
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, wanted)


def test_another_kind_of_result_is_added_to_those_that_are_there(segmenter: Segmenter, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(noise_image(20, 30)))
    assert go(segmenter, [tmp_path / "a.png"], tmp_path, overlay=True) == ["done"]
    assert go(segmenter, [tmp_path / "a.png"], tmp_path, probabilities="npy") == ["done"]
    assert (tmp_path / "a_overlay.png").exists()
    listed = json.loads((tmp_path / "a.json").read_bytes())["outputs"]
    assert listed == {"mask": "a_mask.png", "overlay": "a_overlay.png", "probabilities_npy": "a_probabilities.npy"}


def test_a_killed_run_is_taken_up_again(segmenter: Segmenter, tmp_path: Path) -> None:
    """The record that announces the results is there, the results are not."""
    (tmp_path / "a.png").write_bytes(png(noise_image(20, 30)))
    go(segmenter, [tmp_path / "a.png"], tmp_path)
    record = json.loads((tmp_path / "a.json").read_bytes())
    (tmp_path / "a.json").write_text(json.dumps({**record, "complete": False}))
    assert go(segmenter, [tmp_path / "a.png"], tmp_path) == ["done"]
    assert json.loads((tmp_path / "a.json").read_bytes())["complete"]


def test_an_input_is_never_written_over(tmp_path: Path) -> None:
    for name in ("a.png", "a_mask.png"):
        (tmp_path / name).write_bytes(png(noise_image(20, 30)))
    tasks, failed = found([tmp_path / "a.png", tmp_path / "a_mask.png"], tmp_path)
    assert [t.source.path.name for t in tasks] == ["a_mask.png"]
    assert "an input of this run" in str(failed[0][1])


def test_trouble_of_any_kind_ends_one_image_only(segmenter: Segmenter, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(png(noise_image(20, 30)))
    (tmp_path / "a_mask.png").mkdir()
    first, second = go(segmenter, [tmp_path / "a.png", tmp_path / "b.png"], tmp_path, overwrite=True)
    assert {str(type(first).__name__), str(second)} == {"SegError", "done"}
