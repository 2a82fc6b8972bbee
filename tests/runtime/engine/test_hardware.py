"""How much of the machine this process may use: made-up control groups, the real affinity."""

from __future__ import annotations

from pathlib import Path

import pytest
from seg_runtime.engine import hardware
from seg_runtime.engine.hardware import _affine_threads, available_threads, cpu_features, cpu_flags, cpu_quota


def group(root: Path, name: str, **files: str) -> None:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file.replace("__", ".")).write_text(content)


def own(tmp_path: Path, text: str) -> Path:
    (tmp_path / "own").write_text(text)
    return tmp_path / "own"


@pytest.mark.parametrize(
    ("content", "quota"), [("150000 100000\n", 1.5), ("max 100000\n", None), ("", None), ("1 0", None), ("a b", None)]
)
def test_the_quota_of_version_2(content: str, quota: float | None, tmp_path: Path) -> None:
    group(tmp_path, "sys", cpu__max=content)
    assert cpu_quota(tmp_path / "sys", own(tmp_path, "0::/\n")) == quota


def test_the_smallest_quota_on_the_way_to_the_root_counts(tmp_path: Path) -> None:
    group(tmp_path, "sys/slice", cpu__max="400000 100000")
    group(tmp_path, "sys/slice/service", cpu__max="max 100000")
    group(tmp_path, "sys/other", cpu__max="10000 100000")
    assert cpu_quota(tmp_path / "sys", own(tmp_path, "0::/slice/service\n")) == 4
    group(tmp_path, "sys/slice/service", cpu__max="50000 100000")
    assert cpu_quota(tmp_path / "sys", own(tmp_path, "0::/slice/service\n")) == 0.5


@pytest.mark.parametrize(("quota", "wanted"), [("300000", 3), ("-1", None)])
def test_the_quota_of_version_1(quota: str, wanted: float | None, tmp_path: Path) -> None:
    group(tmp_path, "sys/cpu", cpu__cfs_quota_us=f"{quota}\n", cpu__cfs_period_us="100000\n")
    assert cpu_quota(tmp_path / "sys", own(tmp_path, "4:cpu,cpuacct:/docker/0a\n")) == wanted


def test_no_control_groups(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path / "sys", tmp_path / "own") is None


@pytest.mark.parametrize(("quota", "threads"), [(0.5, 1), (1.9, 1), (2.0, 2), (64.0, 3), (None, 3)])
def test_threads_stay_within_affinity_and_quota(
    quota: float | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "cpu_quota", lambda: quota)
    monkeypatch.setattr(hardware, "_affine_threads", lambda: 3)
    assert available_threads() == threads


def test_on_this_machine() -> None:
    assert 1 <= available_threads() <= _affine_threads()
    flags = {flag.upper() for flag in cpu_flags()}
    told = {name for name, has in cpu_features().items() if has}
    assert cpu_features() == dict.fromkeys(cpu_features()) if not flags else told == flags & cpu_features().keys()
