from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from seg_runtime.start import HUGE_PAGES, TUNABLES, wants_huge_pages

SEG_RUN = Path(sys.executable).with_name("seg-run")
HERE = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(sys.platform != "linux", reason="huge pages are asked for on Linux only")
@pytest.mark.parametrize(("mode", "wanted"), [("always [madvise] never", True), ("[always] madvise never", False)])
def test_huge_pages_are_wanted_where_one_must_ask(
    mode: str, wanted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "enabled").write_text(mode)
    monkeypatch.delenv(TUNABLES, raising=False)
    if not (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
        wanted = False
    assert wants_huge_pages(tmp_path / "enabled") == wanted
    assert not wants_huge_pages(tmp_path / "missing")
    monkeypatch.setenv(TUNABLES, "")
    assert not wants_huge_pages(tmp_path / "enabled")


@pytest.mark.parametrize("tunables", [None, ""])
def test_the_command_begins_once_more_at_most_and_keeps_its_words(tunables: str | None, tmp_path: Path) -> None:
    trace = tmp_path / "sitecustomize.py"  # read by each start of Python
    trace.write_text(f"import os; print('start', repr(os.environ.get({TUNABLES!r})), flush=True)")
    env = {k: v for k, v in os.environ.items() if k != TUNABLES} | {"PYTHONPATH": str(tmp_path)}
    if tunables is not None:
        env[TUNABLES] = tunables
    done = subprocess.run([SEG_RUN, "no such image.png", "--model", "x"], env=env, capture_output=True, text=True)
    starts = [line for line in done.stdout.splitlines() if line.startswith("start")]
    again = tunables is None and "[madvise]" in (HERE.read_text() if HERE.exists() else "") and wants_here()
    assert starts == (["start None", f"start {HUGE_PAGES!r}"] if again else [f"start {tunables!r}"])
    assert done.returncode == 1
    assert "x" in done.stderr


def wants_here() -> bool:
    env = os.environ.pop(TUNABLES, None)
    try:
        return wants_huge_pages()
    finally:
        if env is not None:
            os.environ[TUNABLES] = env
