"""What lies in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from seg_runtime.support import DataError, SegError, list_files, named


def test_files_of_a_folder_come_before_those_of_its_folders(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.png", "a.png", ".hidden", "a/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in list_files(tmp_path)] == ["a.png", "b.png"]
    assert [p.relative_to(tmp_path).as_posix() for p in list_files(tmp_path, recursive=True)] == [
        "a.png", "b.png", "a/z.png",
    ]  # fmt: skip


def test_no_folder_has_no_files(tmp_path: Path) -> None:
    assert list_files(tmp_path / "nowhere") == []


def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("closed/a.png", "open/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    scandir = os.scandir

    def refusing(path: str) -> object:
        if Path(path).name == "closed":  # root, who runs tests in containers, may read everything
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=r"closed cannot be read \(Permission denied\)"):
        list_files(tmp_path, recursive=True)
    odd: list[tuple[Path, SegError]] = []
    assert list_files(tmp_path, recursive=True, unreadable=odd) == [tmp_path / "open" / "b.png"]
    assert [path for path, _ in odd] == [tmp_path / "closed"]


@pytest.mark.parametrize(("count", "text"), [(1, "0"), (5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4 …")])
def test_a_message_names_the_first_few(count: int, text: str) -> None:
    assert named([str(n) for n in range(count)]) == text
