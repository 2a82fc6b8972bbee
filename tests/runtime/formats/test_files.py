"""Which format a file has, and what becomes of it, when other packages offer formats too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from seg_runtime.batch import BatchOptions, find_tasks
from seg_runtime.formats import FORMATS, Failures, Format, Output, Page, ReadOptions, Source, SourceOptions
from seg_runtime.model import ChannelFile, Voxels

from tests.support.commands import in_a_process
from tests.support.contracts import contract
from tests.support.images import picture
from tests.support.models import Made
from tests.support.packages import install
from tests.support.pictures import tiff
from tests.support.places import ROOT


class Stubborn(Format):
    """Raises for whatever is shown to it."""

    title = "a stubborn file"
    suffixes = (".stubborn",)
    by_content = True

    def recognises(self, head: bytes) -> bool:
        raise IndexError("the head is shorter than expected")

    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        yield Page(np.zeros((1, 1, 1), np.uint8), name)

    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        return {}


def test_a_format_that_raises_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FORMATS, "own", {"stubborn": Stubborn(), **FORMATS.own})
    assert FORMATS.of(tiff([np.zeros((2, 2, 1), np.uint8)]), "a.tif") is FORMATS.get("picture")
    assert FORMATS.of(b"", "a.stubborn") is FORMATS.get("stubborn")


class InTwoFiles(Format):
    """Pixels in NAME.raw, and what they mean in NAME.hdx, by which it is recognised; its masks have two forms."""

    title = "a file in two parts"
    suffixes = (".hdx",)

    def recognises(self, head: bytes) -> bool:
        return head.startswith(b"HDX")

    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        yield Page(np.zeros((1, 1, 1), np.uint8), name)

    def sources(
        self, files: Sequence[Path], folder: Path | None, options: SourceOptions
    ) -> tuple[list[Source], Failures]:
        return [Source(path, Path(path.stem), (path.with_suffix(".raw"), path), self) for path in files], []

    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        form = Output("mask", (".hdx",), lambda results, source: (".hdx", lambda file: None))
        return {"first": form, "second": form}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a picture and a file in two parts, with the formats of another package."""
    monkeypatch.setattr(FORMATS, "own", {"stubborn": Stubborn(), "two": InTwoFiles(), **FORMATS.own})
    picture(tmp_path / "b.png")
    (tmp_path / "a.hdx").write_bytes(b"HDX")
    (tmp_path / "a.raw").write_bytes(b"00")
    return tmp_path


def test_a_folder_with_a_format_that_raises_and_one_in_two_files(folder: Path) -> None:
    tasks, failed = find_tasks([folder], Path("out"), False, contract(), BatchOptions())
    assert failed == []
    assert [task.stem.name for task in tasks] == ["a", "b"]
    assert [output.key for output in tasks[0].outputs] == ["mask"]  # the first form, since nobody asked for one


@pytest.mark.parametrize("name", ["scan", "scan.jpgx"])
def test_a_picture_without_its_suffix_is_called_a_picture(tmp_path: Path, name: str) -> None:
    picture(tmp_path / "a.png").rename(tmp_path / name)
    atoms = contract((32, 32, 32), (16, 16, 16), channels=1, voxels=Voxels(2.0, ("occupied",)))
    _, failed = find_tasks([tmp_path / name], Path("out"), False, atoms, BatchOptions())
    assert "is a picture; expected a structure" in str(failed[0][1])


def test_a_file_of_a_broken_package_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Made
) -> None:
    install(tmp_path, "toy", points="[seg_edge.formats]\ntoy = toy_format:TOY\n", toy_format="import libtoy")
    done = in_a_process(
        "seg-run", "--model", model.path, "--provider", "cpu", "--out", tmp_path, ROOT / "LICENSE", path=tmp_path
    )
    assert done.returncode == 1
    assert "LICENSE has an unknown format, and the file format 'toy' cannot be loaded" in done.stderr
    assert "No module named 'libtoy'" in done.stderr
    examined = in_a_process("seg-edge", "doctor", "--provider", "cpu", path=tmp_path)
    assert any("'toy' cannot be loaded" in finding["problem"] for finding in json.loads(examined.stdout)["findings"])


def test_channels_that_are_files_keep_the_source_of_their_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Rich(Source):
        plate: str = "B3"

    def sources(files: Sequence[Path], folder: Path | None, options: SourceOptions) -> tuple[list[Source], Failures]:
        return [Rich(path, Path(path.stem), (path,), FORMATS.get("picture")) for path in files], []

    monkeypatch.setattr(FORMATS.get("picture"), "sources", sources)
    for ending in ("_dapi", "_actin"):
        picture(tmp_path / f"case{ending}.png")
    model = contract(channels=2, channel_files=(ChannelFile("_dapi"), ChannelFile("_actin")))
    [task], failed = find_tasks([tmp_path], Path("out"), False, model, BatchOptions())
    assert failed == []
    assert isinstance(task.source, Rich)
    assert (task.source.plate, task.stem.name, len(task.source.files)) == ("B3", "case", 2)
