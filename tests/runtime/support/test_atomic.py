from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest
from seg_runtime import SegError
from seg_runtime.support.atomic import check_writable, prepared, write_atomic


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


WRITER = """
import pathlib, sys, time
from seg_runtime.support.atomic import write_atomic
def write(file):
    file.write(b"new"); file.flush(); print("writing", flush=True); time.sleep(60)
write_atomic(pathlib.Path(sys.argv[1]), write)
"""


def writing(target: Path) -> subprocess.Popen[str]:
    """A process in the middle of writing a file."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "writing\n"
    return process


def test_the_next_process_removes_what_a_killed_one_left_and_nothing_of_a_living_one(tmp_path: Path) -> None:
    dead, alive = writing(tmp_path / "a.bin"), writing(tmp_path / "b.bin")
    dead.kill()
    dead.wait()
    assert len(names(tmp_path)) == 2
    (tmp_path / ".notes.partial").write_bytes(b"not ours")
    code = "import pathlib, sys; from seg_runtime.support import write_atomic as w; w(pathlib.Path(sys.argv[1]), lambda f: 0)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "c.bin")], check=True)
    left = names(tmp_path)
    assert left[-1] == "c.bin"
    assert ".notes.partial" in left
    assert len(left) == 3
    alive.kill()
    alive.wait()


def test_checking_leaves_nothing_even_if_it_is_killed(tmp_path: Path) -> None:
    check_writable(tmp_path / "a.bin")
    assert names(tmp_path) == []


def test_prepared_replaces_a_link_and_write_atomic_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"old")
    for name in ("a", "b"):
        (tmp_path / name).symlink_to("kept")
    with prepared(tmp_path / "a", lambda file: file.write(b"new")) as put:
        assert (tmp_path / "a").read_bytes() == b"old"
        put()
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "kept").read_bytes() == b"old"
    write_atomic(tmp_path / "b", lambda file: file.write(b"newer"))
    assert (tmp_path / "b").is_symlink()
    assert (tmp_path / "kept").read_bytes() == b"newer"


def test_what_is_not_put_is_removed(tmp_path: Path) -> None:
    with prepared(tmp_path / "a", lambda file: file.write(b"new")):
        pass
    assert names(tmp_path) == []
