"""The wheel in empty environments: no torch, no onnx, no scipy, the oldest and the newest Python of this machine."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from seg_export.pipeline import export, write
from seg_runtime import Segmenter
from seg_toolkit.networks.unet import UNet

from tests.support.contracts import contract_of
from tests.support.models import HOST_READY, checkpoint_of
from tests.support.places import ROOT
from tests.support.tools import missing


def pythons() -> dict[tuple[int, int], str]:
    """Python interpreters >= 3.10 that really run here: on the PATH, and those that pyenv keeps."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [sys.executable, *(str(p) for p in kept.glob("*/bin/python"))]
    candidates += [found for minor in range(10, 30) if (found := shutil.which(f"python3.{minor}"))]
    found: dict[tuple[int, int], str] = {}
    for path in candidates:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        version = re.match(r"Python 3\.(\d+)", done.stdout)
        if done.returncode == 0 and version and int(version[1]) >= 10:
            found.setdefault((3, int(version[1])), path)
    return found


ALL = pythons()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    place = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(ROOT)]
    subprocess.run(words, check=True, capture_output=True)
    return next(place.glob("*.whl"))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a real small model and a picture."""
    place = tmp_path_factory.mktemp("work")
    torch.manual_seed(2)
    model = UNet(1, 2, width=2)
    write(export(checkpoint_of(model, contract_of(model, 572))), place / "model.onnx")
    Image.linear_gradient("L").resize((500, 300)).save(place / "picture.png")
    return place


def environment(python: str, place: Path, *packages: str) -> Path:
    """A new virtual environment with `packages`; the folder of its commands."""
    subprocess.run([python, "-m", "venv", str(place)], check=True, capture_output=True)
    folder = place / ("Scripts" if os.name == "nt" else "bin")
    words = [folder / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def run(folder: Path, work: Path, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return subprocess.run(
        [str(folder / words[0]), *words[1:]], cwd=work, env=clean, capture_output=True, text=True, check=False
    )


ALIVE = """
import sys, time, numpy
from seg_runtime import Segmenter
with Segmenter("model.onnx", provider="cpu") as segmenter:
    segmenter(numpy.zeros((50, 60), numpy.uint8))
    time.sleep(90)  # ONNX Runtime's telemetry looks up its host after about a minute
"""


@pytest.fixture(scope="module")
def watched(work):
    """A process that keeps a model open for 90 s under strace, beside the other tests; and strace's log."""
    if not shutil.which("strace"):
        missing("strace is not installed")
    log = work / "calls.txt"
    calls = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(log)]
    env = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    with subprocess.Popen([*calls, sys.executable, "-c", ALIVE], cwd=work, env=env) as process:
        yield process, log
        process.kill()


@pytest.fixture(autouse=True)
def _started(watched):
    """Start that process before the first test, so that the last one need not wait for it."""


@pytest.mark.parametrize("version", sorted({min(ALL), max(ALL)}), ids=lambda v: f"python{v[0]}.{v[1]}")
def test_runtime_alone(version, wheel, work, tmp_path):
    folder = environment(
        ALL[version], tmp_path / "env", "-c", str(ROOT / "constraints.txt"), f"seg-edge[cpu] @ {wheel.as_uri()}"
    )
    installed = run(folder, work, "python", "-m", "pip", "list", "--format=freeze").stdout.lower()
    assert not re.search(r"^(torch|onnx|onnxscript|scipy)==", installed, re.MULTILINE)
    out = tmp_path / "out"
    done = run(folder, work, "seg-run", "picture.png", "--overlay", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in out.iterdir()) == ["picture.json", "picture_mask.png", "picture_overlay.png"]
    assert Image.open(out / "picture_mask.png").size == (500, 300)
    # installed with it, but their extras are not
    for words in (["seg-train", "x"], ["seg-export", "x", "y.onnx"], ["seg-edge", "tune", "model.onnx"]):
        done = run(folder, work, *words)
        assert done.returncode == 1
        assert "pip install 'seg-edge[" in done.stderr
        assert "Traceback" not in done.stderr


TUNE = """
import sys
from pathlib import Path
from seg_export import tuning
from seg_export.steps.rewrite.apply import layers_of, rewritten, default_table
from seg_runtime.model.modelfile import ModelFile
content = ModelFile("model.onnx").take()
source = tuning.read_source(content)
table = default_table(layers_of(source.graph))
made = tuning.prove(source, rewritten(source.graph, table), {"rewritten": table})
Path(sys.argv[1]).write_bytes(made.content)
"""


def test_tuning_without_torch(wheel, work, tmp_path):
    """Measured for real, whatever comes of it here, and with a table that is given, so that a file is written."""
    folder = environment(
        sys.executable, tmp_path / "env", "-c", str(ROOT / "constraints.txt"), f"seg-edge[cpu,tune] @ {wheel.as_uri()}"
    )
    installed = run(folder, work, "python", "-m", "pip", "list", "--format=freeze").stdout.lower()
    assert not re.search(r"^(torch|scipy)==", installed, re.MULTILINE)
    target = tmp_path / "tuned.onnx"
    done = run(folder, work, "seg-edge", "tune", "model.onnx", "--out", str(target))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert target.exists() == bool(report["forms"])
    assert report["layer_ms"]
    given = tmp_path / "given.onnx"
    done = run(folder, work, "python", "-c", TUNE, str(given))
    assert done.returncode == 0, done.stderr
    for made in (path for path in (given, target) if path.exists()):
        done = run(folder, work, "seg-edge", "self-test", "--model", str(made), "--provider", "cpu")
        assert done.returncode == 0, done.stderr
        with Segmenter(made, provider="cpu") as ours, Segmenter(work / "model.onnx", provider="cpu") as theirs:
            pictures = [s(work / "picture.png").labels for s in (ours, theirs)]
        assert (pictures[0] != pictures[1]).mean() < 1e-3


def test_no_onnx_runtime_names_the_extra(wheel, work, tmp_path):
    folder = environment(sys.executable, tmp_path / "env", "-c", str(ROOT / "constraints.txt"), str(wheel))
    done = run(folder, work, "seg-run", "picture.png", "--out", str(tmp_path / "out"))
    assert done.returncode == 3
    assert "seg-edge[cpu]" in done.stderr
    assert "Traceback" not in done.stderr
    done = run(folder, work, "seg-edge", "doctor")
    assert done.returncode == 3
    assert "seg-edge[cpu]" in json.loads(done.stdout)["findings"][0]["fix"]


def test_cuda_without_its_libraries_is_refused_and_named(wheel, work, tmp_path):
    """The real GPU wheel on a machine without CUDA: ONNX Runtime itself would go on, on CPU, with a log line."""
    folder = environment(
        sys.executable, tmp_path / "env", "-c", str(ROOT / "constraints.txt"), f"seg-edge[gpu] @ {wheel.as_uri()}"
    )
    done = run(folder, work, "seg-run", "--provider", "cuda", "picture.png", "--out", str(tmp_path / "out"))
    if done.returncode == 0:
        assert "provider: cuda" in done.stderr  # a machine that has CUDA got it
        return
    assert done.returncode == 3
    assert re.search(r"error: CUDA cannot be used: .*(lib\w+\.so|\.dll|driver)", done.stderr)
    assert done.stderr.count("\n") == 1  # without ONNX Runtime's own lines
    assert not (tmp_path / "out").exists()
    done = run(folder, work, "seg-edge", "doctor", "--provider", "cuda")
    assert done.returncode == 3
    finding = json.loads(done.stdout)["findings"][0]
    assert re.search(r"lib\w+\.so|\.dll|driver", finding["problem"])
    assert "onnxruntime-gpu[cuda,cudnn]" in finding["fix"]
    done = run(folder, work, "seg-run", "--provider", "auto", "picture.png", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert re.search(r"provider: cpu \(no CUDA: .*lib\w+\.so", done.stderr)

    both = [folder / "python", "-m", "pip", "install", "-q", "--no-deps", "-c", ROOT / "constraints.txt", "onnxruntime"]
    subprocess.run([str(w) for w in both], check=True, capture_output=True)
    done = run(folder, work, "seg-run", "--provider", "cuda", "picture.png", "--out", str(tmp_path / "out2"))
    assert done.returncode == 3
    assert re.search(r"onnxruntime \S+ and onnxruntime-gpu \S+ are installed in one environment", done.stderr)


def test_oldest_onnx_runtime_loads_the_file(wheel, work, tmp_path, make_model):
    """ONNX Runtime 1.18 with the numpy of its time."""
    oldest = ALL[min(ALL)]
    folder = environment(
        oldest, tmp_path / "env", "onnxruntime==1.18.1", "numpy==1.26.4", "pillow", "click", str(wheel)
    )
    done = run(folder, work, "seg-run", "picture.png", "--provider", "cpu", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert '"onnxruntime": "1.18.1"' in (tmp_path / "out" / "picture.json").read_text()
    done = run(folder, work, "seg-edge", "self-test", "--provider", "cpu")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["placement"] is None  # it cannot tell yet
    done = run(folder, work, "seg-edge", "doctor", "--provider", "cpu")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["wheels"] == {"onnxruntime": "1.18.1"}
    for geometry in ("tile", "fit"):  # a host-ready file keeps ONNX Runtime's optimizer busier
        model, out = make_model(geometry=geometry, options=HOST_READY).path, tmp_path / geometry
        done = run(
            folder, work, "seg-run", "picture.png", "--model", str(model), "--provider", "cpu", "--out", str(out)
        )
        assert done.returncode == 0, done.stderr
        with Segmenter(model, provider="cpu") as here:
            wanted = here(work / "picture.png").labels
        assert (np.asarray(Image.open(out / "picture_mask.png")) == wanted).all()


def test_a_segmenter_sends_nothing_in_90_seconds(watched):
    process, log = watched
    assert process.wait() == 0
    assert [line for line in log.read_text().splitlines() if "AF_UNIX" not in line] == []
