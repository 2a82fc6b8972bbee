"""ONNX Runtime's telemetry: no identifier on disk, whoever imports it. Its network is watched in tests/test_install.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.support.images import noise_image

BARE = "import onnxruntime"
SUPPRESSING = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS")


def run(home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """A process with an empty HOME and without the variables that turn telemetry off."""
    home.mkdir()
    env = {k: v for k, v in os.environ.items() if k not in SUPPRESSING and not k.startswith("XDG_")}
    command = [str(word) for word in words]
    return subprocess.run(command, env={**env, "HOME": str(home), "CI": ""}, capture_output=True, text=True, check=True)


def files(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.fromarray(noise_image(20, 20)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_onnxruntime_alone_leaves_an_identifier(tmp_path: Path) -> None:
    """Otherwise, the other tests could not fail."""
    run(tmp_path / "home", sys.executable, "-c", BARE)
    assert any("deviceid" in name for name in files(tmp_path / "home"))


@pytest.mark.parametrize("command", ["seg-run", "seg-edge"])
def test_a_command_leaves_no_file_in_an_empty_home(model_file: Path, image: Path, tmp_path: Path, command: str) -> None:
    words = ["run", "--out", tmp_path / "out", "--model", model_file, "--provider", "cpu", image]
    run(tmp_path / "home", Path(sys.executable).with_name(command), *words[command == "seg-run" :])
    assert files(tmp_path / "home") == []


@pytest.mark.parametrize("first", ["seg_runtime", "seg_toolkit.data", "seg_export.options", "benchmarks"])
def test_any_of_our_packages_before_onnxruntime(first: str, tmp_path: Path) -> None:
    run(tmp_path / "home", sys.executable, "-c", f"import {first}; {BARE}; onnxruntime.SessionOptions()")
    assert files(tmp_path / "home") == []


def test_segmenter_in_a_worker_process(model_file: Path, tmp_path: Path) -> None:
    code = (
        "import multiprocessing, numpy, sys\n"
        "from seg_runtime import Segmenter\n"
        "def work(path):\n"
        "    return Segmenter(path)(numpy.zeros((30, 40, 3), 'u1')).labels.shape\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(work, sys.argv[1:]))\n"
    )
    (tmp_path / "worker.py").write_text(code)
    done = run(tmp_path / "home", sys.executable, tmp_path / "worker.py", model_file)
    assert done.stdout == "[(30, 40)]\n"
    assert files(tmp_path / "home") == []


def test_a_program_that_imports_onnxruntime_first_is_warned(tmp_path: Path) -> None:
    done = run(tmp_path / "home", sys.executable, "-c", f"{BARE}; import seg_runtime")
    assert "Import seg_runtime first, or set ORT_DISABLE_TELEMETRY=1." in done.stderr
    os_first = "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '1'"
    done = run(tmp_path / "second", sys.executable, "-c", f"{os_first}; {BARE}; import seg_runtime")
    assert done.stderr == ""
    assert files(tmp_path / "second") == []
