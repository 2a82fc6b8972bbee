"""`--isolate`: models and images that end the process that works on them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from seg_runtime.cli import isolate
from seg_runtime.cli.arguments import RunOptions
from seg_runtime.cli.outcome import Bar

from tests.support.commands import errors, in_a_process
from tests.support.damage import resealed
from tests.support.images import picture
from tests.support.models import Made


def results() -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(Path("out").iterdir()) if p.suffix == ".png"}


def test_the_results_are_those_of_one_process(model_file: Path) -> None:
    for name in ("a", "b", "sub/c"):
        picture(f"in/{name}.png")
    Path("in/cut.png").write_bytes(Path("in/a.png").read_bytes()[:99])
    words = ["--model", model_file, "--provider", "cpu", "--out", "out", "in"]
    plain = in_a_process("seg-run", *words)
    masks = results()
    shutil.rmtree("out")
    isolated = in_a_process("seg-run", *words, "--isolate")
    assert (isolated.returncode, isolated.stdout) == (plain.returncode, plain.stdout) == (1, isolated.stdout)
    assert errors(isolated.stderr) == errors(plain.stderr)
    assert results() == masks
    again = in_a_process("seg-run", *words, "--isolate")
    assert "2 already done" in again.stdout


def test_wrong_options_and_a_missing_model_are_told_once(model_file: Path) -> None:
    picture("a.png")
    done = in_a_process("seg-run", "--model", "none.onnx", "--isolate", "a.png")
    assert done.returncode == 1
    (line,) = errors(done.stderr)
    assert "none.onnx does not exist" in line


def endless(proto: onnx.ModelProto) -> None:
    """Add a Loop that counts to the largest number before the logits, and so never ends."""
    one = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Add", ["x", "zero"], ["y"]),
        ],
        "body",
        [one("i", TensorProto.INT64, []), one("go", TensorProto.BOOL, []), one("x", TensorProto.FLOAT, [])],
        [one("on", TensorProto.BOOL, []), one("y", TensorProto.FLOAT, [])],
        [numpy_helper.from_array(np.array(0, np.float32), "zero")],
    )
    graph = proto.graph
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(2**62), "trips"),
            numpy_helper.from_array(np.array(True), "begin"),
            numpy_helper.from_array(np.array(0, np.float32), "nothing"),
        ]
    )
    last = next(node for node in graph.node if "logits" in node.output)
    last.output[list(last.output).index("logits")] = "before"
    graph.node.extend(
        [
            helper.make_node("Loop", ["trips", "begin", "nothing"], ["still"], body=body),
            helper.make_node("Add", ["before", "still"], ["logits"]),
        ]
    )


def test_a_model_that_never_ends_is_stopped(model: Made) -> None:
    Path("m.onnx").write_bytes(resealed(model.path, endless))
    picture("a.png")
    words = ["--model", "m.onnx", "--provider", "cpu", "--isolate", "--max-seconds", "3", "--out", "out", "a.png"]
    done = in_a_process("seg-run", *words)
    assert done.returncode == 1
    (line,) = errors(done.stderr)
    assert "out/a ended the process that segmented it (no progress in 3 s)" in line
    assert "0 segmented, 1 failed" in done.stdout


def crashing(proto: onnx.ModelProto) -> None:
    """Divide the smallest integer by -1, which ends the process by SIGFPE."""
    graph = proto.graph
    last = next(node for node in graph.node if "logits" in node.output)
    last.output[list(last.output).index("logits")] = "before"
    for name, value in (("smallest", -(2**31)), ("one", 1)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int32), name))
    graph.node.extend(
        [
            helper.make_node("Cast", ["before"], ["whole"], to=TensorProto.INT32),
            helper.make_node("Sub", ["whole", "whole"], ["naughts"]),
            helper.make_node("ReduceMin", ["naughts"], ["naught"]),
            helper.make_node("Add", ["naught", "smallest"], ["low"]),
            helper.make_node("Sub", ["naught", "one"], ["minus"]),
            helper.make_node("Div", ["low", "minus"], ["divided"]),
            helper.make_node("Cast", ["divided"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["before", "float"], ["logits"]),
        ]
    )


def test_a_model_that_crashes_fails_alone(model: Made) -> None:
    Path("m.onnx").write_bytes(resealed(model.path, crashing))
    for name in "ab":
        picture(f"in/{name}.png")
    Path("in/notes.txt").write_text("field 1")
    words = ["--model", "m.onnx", "--provider", "cpu", "--isolate", "--out", "out", "in", "nowhere.png"]
    done = in_a_process("seg-run", *words)
    assert done.returncode == 1
    *crashes, missing = errors(done.stderr)
    assert [line.partition("(")[2].partition(")")[0] for line in crashes] == ["SIGFPE", "SIGFPE"]
    assert "nowhere.png does not exist" in missing  # found again by the child that goes on
    assert "in/notes.txt" in done.stderr


def test_a_process_that_crashes_after_its_work_is_not_started_for_ever(
    model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a library of a GPU may, while it is unloaded."""
    picture("a.png")
    after = "import os, signal; from seg_runtime.cli.run import child\ntry:\n    child()\nfinally:\n    os.kill(os.getpid(), 11)"
    monkeypatch.setattr(isolate, "_CHILD", after)
    options = RunOptions(models=(model_file,), provider="cpu", out=Path("out"), isolate=True)
    bar = Bar()
    isolate.run_isolated((Path("a.png"),), options, bar)
    assert (bar.outcome.done, bar.outcome.failed) == (1, [])


def test_a_file_that_needs_more_memory_fails_alone(model_file: Path) -> None:
    picture("in/a.png")
    Image.new("RGB", (11_000, 11_000)).save("in/large.png")
    words = ["--model", model_file, "--provider", "cpu", "--max-memory", "1.0", "--out", "out", "in"]
    for more in ([], ["--isolate"]):
        done = in_a_process("seg-run", *words, *more, "--overwrite")
        assert done.returncode == 1, done.stderr
        (line,) = errors(done.stderr)
        assert "in/large.png" in line
        assert "memory" in line
        assert json.loads(Path("out/a.json").read_text())["complete"]
