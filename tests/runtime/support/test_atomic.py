from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest
from seg_runtime import SegError
from seg_runtime.support.atomic import check_writable, write_atomic


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_it_writes_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "a.bin"
    for content in (b"one", b"two"):
        write_atomic(target, lambda file, content=content: file.write(content))
        assert target.read_bytes() == content
    assert names(target.parent) == ["a.bin"]


def half_a_write(file: BinaryIO) -> None:
    file.write(b"half")
    raise ZeroDivisionError


def test_an_exception_keeps_the_old_content_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        write_atomic(target, half_a_write)
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_an_exception_at_a_first_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_atomic(tmp_path / "a.bin", half_a_write)
    assert names(tmp_path) == []


def test_sigkill_in_the_middle_leaves_the_old_file_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    code = (
        "import os, signal, sys, pathlib\n"
        "from seg_runtime.support.atomic import write_atomic\n"
        "def write(file):\n"
        "    file.write(b'new' * 100000); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomic(pathlib.Path(sys.argv[1]), write)\n"
    )
    died = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert died.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"


def test_new_files_get_the_usual_permissions(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_atomic(tmp_path / "a", lambda file: file.write(b"x"))
    finally:
        os.umask(mask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_a_folder_that_is_a_file_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SegError, match="cannot write"):
        write_atomic(tmp_path / "file" / "a.bin", lambda file: None)


def test_a_target_that_is_a_folder_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(SegError, match="cannot write"):
        write_atomic(tmp_path / "a", lambda file: None)
    assert names(tmp_path) == ["a"]


def test_a_name_that_only_just_fits_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 246 + ".png")  # 250 bytes, 255 are allowed
    write_atomic(target, lambda file: file.write(b"x"))
    assert target.read_bytes() == b"x"


def test_a_name_that_is_too_long_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(SegError, match="cannot write"):
        write_atomic(tmp_path / ("n" * 300), lambda file: None)


def test_check_writable_leaves_no_trace(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.bin")
    assert names(tmp_path) == []


def test_check_writable_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SegError, match="is a folder"):
        check_writable(tmp_path)
