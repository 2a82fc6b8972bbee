"""Optimised models in a folder: the same bits, sooner; whatever is wrong with the folder never matters."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from seg_export.options import ExportOptions
from seg_runtime import Segmenter
from seg_runtime.engine import RunOptions, Tuning, open_on
from seg_runtime.engine import cache as cache_module
from seg_runtime.engine.cache import GRAPH, MAX_ENTRIES, SEAL, WEIGHTS, key
from seg_runtime.engine.providers import Cpu
from seg_runtime.engine.session import Session
from seg_runtime.support.errors import ModelError

from tests.support.images import noise_image
from tests.support.models import CPU, HOST_READY, Made, MakeModel, being_loaded


def entries(folder: Path) -> list[Path]:
    place = folder / "seg-edge"
    return sorted(place.iterdir()) if place.exists() else []


def logits(session: Session) -> np.ndarray:
    window = noise_image(252, 252).astype(np.float32).transpose(2, 0, 1)[None] / 255
    return session.run(window)


def opened(model: Path, folder: Path) -> Session:
    return Session(model, RunOptions(provider="cpu", tuning=Tuning(cache=folder)))


def stamps(entry: Path) -> list[int]:
    return [(entry / name).stat().st_ino for name in (GRAPH, SEAL)]


@pytest.fixture
def filled(model_file: Path, tmp_path: Path) -> Path:
    opened(model_file, tmp_path / "cache")
    return tmp_path / "cache"


def test_a_cached_session_answers_with_the_same_bits(model: Made, tmp_path: Path) -> None:
    wanted = logits(Session(model.path, CPU))
    for _ in range(2):
        np.testing.assert_array_equal(logits(opened(model.path, tmp_path)), wanted)
    (entry,) = entries(tmp_path)
    assert entry.name == key(Session(model.path, CPU).sha256, onnxruntime)
    assert {path.name for path in entry.iterdir()} <= {GRAPH, WEIGHTS, SEAL}


def test_the_second_start_uses_the_entry_and_leaves_it(model_file: Path, filled: Path) -> None:
    (entry,) = entries(filled)
    before = stamps(entry)
    os.utime(entry / SEAL, (1, 1))
    opened(model_file, filled)
    assert stamps(entry) == before
    assert (entry / SEAL).stat().st_mtime > 1  # used just now


def test_the_entry_is_what_answers(model: Made, make_model: MakeModel, filled: Path) -> None:
    """Another model's graph under this one's name and seal: were the entry not used, the answer would not change."""
    other = make_model(seed=3)
    opened(other.path, filled)
    mine, theirs = (filled / "seg-edge" / key(Session(m.path, CPU).sha256, onnxruntime) for m in (model, other))
    seal = json.loads((theirs / SEAL).read_text())
    shutil.rmtree(mine)
    shutil.copytree(theirs, mine)
    (mine / SEAL).write_text(json.dumps({**seal, "name": mine.name}))
    np.testing.assert_array_equal(logits(opened(model.path, filled)), logits(Session(other.path, CPU)))


@pytest.mark.parametrize("options", [ExportOptions(), HOST_READY])
@pytest.mark.parametrize("geometry", ["tile", "fit"])
def test_both_forms(make_model: MakeModel, options: ExportOptions, geometry: str, tmp_path: Path) -> None:
    made = make_model(geometry=geometry, options=options)
    image = noise_image(150, 131)
    wanted = Segmenter(made.path, provider="cpu")(image).labels
    for _ in range(2):
        segmenter = Segmenter(made.path, provider="cpu", tuning=Tuning(cache=tmp_path))
        np.testing.assert_array_equal(segmenter(image).labels, wanted)
    assert len(entries(tmp_path)) == 1


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def damage_graph(entry: Path) -> None:
    flip(entry / GRAPH, -1)


def cut_graph(entry: Path) -> None:
    (entry / GRAPH).write_bytes((entry / GRAPH).read_bytes()[:-9])


def empty_seal(entry: Path) -> None:
    (entry / SEAL).write_bytes(b"")


def strange_seal(entry: Path) -> None:
    (entry / SEAL).write_text('["name"]')


def foreign_name(entry: Path) -> None:
    seal = json.loads((entry / SEAL).read_text())
    (entry / SEAL).write_text(json.dumps({**seal, "name": "0" * 64}))


def missing_file(entry: Path) -> None:
    (entry / GRAPH).unlink()


def further_file(entry: Path) -> None:
    (entry / "further").write_bytes(b"x")


def no_folder(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_bytes(b"a file")


def link_elsewhere(entry: Path) -> None:
    there = entry.parent.parent / "elsewhere.onnx"
    (entry / GRAPH).rename(there)
    (entry / GRAPH).symlink_to(there)


@pytest.mark.parametrize(
    "damage",
    [
        damage_graph, cut_graph, empty_seal, strange_seal, foreign_name, missing_file, further_file, no_folder,
        link_elsewhere,
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_entry_is_passed_over_and_written_anew(damage: object, model: Made, filled: Path) -> None:
    (entry,) = entries(filled)
    damage(entry)  # type: ignore[operator]
    wanted = logits(Session(model.path, CPU))
    np.testing.assert_array_equal(logits(opened(model.path, filled)), wanted)
    assert entries(filled) == [entry]
    assert cache_module._intact(entry, entry.name)


def test_damaged_weights_are_seen(make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "APART", 16)  # a model as small as this one has its weights in the graph else
    made = make_model()
    opened(made.path, tmp_path)
    (entry,) = entries(tmp_path)
    assert (entry / WEIGHTS).stat().st_size > 0
    flip(entry / WEIGHTS, 40)
    assert not cache_module._intact(entry, entry.name)
    np.testing.assert_array_equal(logits(opened(made.path, tmp_path)), logits(Session(made.path, CPU)))
    assert cache_module._intact(entry, entry.name)


def test_a_sealed_entry_that_onnx_runtime_refuses(model: Made, filled: Path) -> None:
    (entry,) = entries(filled)
    (entry / GRAPH).write_bytes(b"no model")
    (entry / SEAL).unlink()
    cache_module._seal(entry, entry.name)
    np.testing.assert_array_equal(logits(opened(model.path, filled)), logits(Session(model.path, CPU)))


def test_the_folder_is_private(filled: Path) -> None:
    assert (filled / "seg-edge").stat().st_mode & 0o777 == 0o700


def test_a_folder_open_to_others_is_not_used(model: Made, filled: Path) -> None:
    (entry,) = entries(filled)
    (filled / "seg-edge").chmod(0o770)
    damage_graph(entry)
    logits(opened(model.path, filled))
    assert not cache_module._intact(entry, entry.name)  # neither read nor mended


@pytest.mark.parametrize("how", ["open to all", "of another user", "sticky"])
def test_below_a_folder_that_another_user_could_exchange(model: Made, tmp_path: Path, how: str) -> None:
    """Its owner can put another folder in place between the check of an entry and its use."""
    above = tmp_path / "above"
    above.mkdir()
    above.chmod({"open to all": 0o777, "of another user": 0o755, "sticky": 0o1777}[how])
    if how == "of another user":
        if os.geteuid():
            pytest.skip("only root can give a folder away")
        os.chown(above, 65534, 65534)
    opened(model.path, above / "cache")
    assert (above / "cache" / "seg-edge").is_dir()
    assert bool(entries(above / "cache")) == (how == "sticky")


@pytest.mark.parametrize("place", ["file", "file/below", "link", "/proc/below"])  # the last: nobody may write there
def test_a_folder_that_cannot_be(model: Made, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link" / "seg-edge").symlink_to(tmp_path / "elsewhere")
    np.testing.assert_array_equal(logits(opened(model.path, tmp_path / place)), logits(Session(model.path, CPU)))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_disk_that_is_full_after_the_model_was_made(
    model: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module, "_digest", full)
    np.testing.assert_array_equal(logits(opened(model.path, tmp_path)), logits(Session(model.path, CPU)))
    assert entries(tmp_path) == []


def test_the_entries_used_longest_ago_go(model_file: Path, filled: Path) -> None:
    place = filled / "seg-edge"
    (mine,) = entries(filled)
    for number in range(MAX_ENTRIES + 2):
        shutil.copytree(mine, place / f"{number:064}")
        os.utime(place / f"{number:064}" / SEAL, (1000 + number,) * 2)
    abandoned, young = f".{0:032}", f".{1:032}"
    (place / abandoned).mkdir()
    os.utime(place / abandoned, (1, 1))
    (place / young).mkdir()
    for foreign in (".git", "work"):  # of somebody who uses the folder for something else
        (place / foreign).mkdir()
        os.utime(place / foreign, (1, 1))
    shutil.rmtree(mine)
    opened(model_file, filled)
    kept = [f"{number:064}" for number in range(3, MAX_ENTRIES + 2)]
    assert {path.name for path in entries(filled)} == {*kept, mine.name, young, ".git", "work"}


def test_bytes_are_bounded(model_file: Path, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mine,) = entries(filled)
    shutil.copytree(mine, filled / "seg-edge" / ("0" * 64))
    size = sum(path.stat().st_size for path in mine.iterdir())
    monkeypatch.setattr(cache_module, "MAX_BYTES", size + size // 2)
    shutil.rmtree(mine)
    opened(model_file, filled)
    assert entries(filled) == [mine]


def test_a_model_that_onnx_runtime_refuses_is_told_as_without_a_cache(tmp_path: Path) -> None:
    provider = Cpu(RunOptions(provider="cpu", tuning=Tuning(cache=tmp_path)))
    with pytest.raises(ModelError, match="cannot load the model"):
        open_on(provider, b"no model", "0" * 64)
    assert entries(tmp_path) == []


def test_a_file_replaced_while_it_is_loaded_leaves_no_entry(model: Made, make_model: MakeModel, tmp_path: Path) -> None:
    """Else the other model would answer under this one's digest ever after."""
    path, reading = being_loaded(model, tmp_path)
    path.write_bytes(make_model(seed=3).path.read_bytes())
    with pytest.raises(ModelError, match="changed while it was loaded"):
        Session(reading, RunOptions(provider="cpu", tuning=Tuning(cache=tmp_path / "cache")))
    assert entries(tmp_path / "cache") == []
    path.write_bytes(model.path.read_bytes())
    np.testing.assert_array_equal(logits(opened(path, tmp_path / "cache")), logits(Session(path, CPU)))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
@pytest.mark.parametrize("name", [os.fsdecode(b"m\xff.onnx"), "m.ort"])
def test_names_that_onnx_runtime_cannot_open(model: Made, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(model.path.read_bytes())
    np.testing.assert_array_equal(logits(Session(path, CPU)), logits(Session(model.path, CPU)))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_folder_that_onnx_runtime_cannot_name(model: Made, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff")
    np.testing.assert_array_equal(logits(opened(model.path, odd)), logits(Session(model.path, CPU)))
    assert entries(odd) == []


def test_a_key_names_all_that_matters() -> None:
    assert key("0" * 64, onnxruntime) != key("1" * 64, onnxruntime)
    assert key("0" * 64, onnxruntime) == key("0" * 64, onnxruntime)
