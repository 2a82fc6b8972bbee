"""Reading files whose paths lead somewhere else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from seg_runtime import SegError
from seg_runtime.support import one_line, read_file


def test_content_and_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a") == read_file(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_file(tmp_path / "a", 4)


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device", "folder", "nothing"])
def test_what_is_no_file_is_an_error_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    place = Path("/dev/zero") if kind == "device" else path
    outcome: list[BaseException] = []

    def read() -> None:
        try:
            read_file(place)
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(10)
    assert outcome


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b[0m.png", r"a\x1b[31mred\x1b[0m.png"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("one\r\ntwo\x07\x00", r"one two\x07\x00"),
        ("Zellkern-ä 細胞 µm².png", "Zellkern-ä 細胞 µm².png"),
        ("\udcff.png", r"\udcff.png"),
    ],
)
def test_messages_are_one_line_that_controls_nothing(text: str, shown: str) -> None:
    assert one_line(text) == shown
    assert shown in str(SegError(f"{text} is odd"))
