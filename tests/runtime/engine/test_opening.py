"""A model opened on exactly one provider: what is tried, what is given up, and graphs in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from seg_runtime import ModelError, ProviderError, RunOptions, SegError, Tuning
from seg_runtime.engine import Provider, open_graph, open_on
from seg_runtime.engine import session as session_module
from seg_runtime.engine.providers import Cpu
from seg_runtime.engine.session import Session

from tests.support.damage import breaking_model
from tests.support.images import noise_image
from tests.support.models import Made


def doubling() -> bytes:
    """`y = (x + x) + 0`, of which ONNX Runtime's optimiser removes the second sum."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in "xy")
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [3], [0.0] * 3)
    nodes = [helper.make_node("Add", ["x", "x"], ["twice"]), helper.make_node("Add", ["twice", "zero"], ["y"])]
    graph = helper.make_graph(nodes, "doubling", [x], [y], [zero])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("optimize", [True, False])
def test_a_graph_in_memory(optimize: bool) -> None:
    session = open_graph(doubling(), threads=1, optimize=optimize)
    [answer] = session.run(None, {"x": np.array([1, 2, 3], np.float32)})
    assert answer.tolist() == [2, 4, 6]
    options = session.get_session_options()
    assert options.intra_op_num_threads == 1
    assert (options.graph_optimization_level.name == "ORT_DISABLE_ALL") is not optimize


def test_a_graph_that_is_none() -> None:
    with pytest.raises(ModelError, match="cannot load the model"):
        open_graph(b"no model")


class Absent(Provider):
    """One that ONNX Runtime passes over, as it does with CUDA without its libraries."""

    name, label, ort_name, refusal = "absent", "Absent", "AbsentExecutionProvider", "it is not there"

    @classmethod
    def installed(cls, ort: Any) -> bool:
        return True

    def chain(self) -> list[Any]:
        return super().chain()[1:]


def test_a_provider_that_onnx_runtime_passes_over_is_an_error() -> None:
    with pytest.raises(
        ProviderError, match=r"Absent cannot be used: it is not there. Install the libraries that it needs; or use"
    ):
        open_on(Absent(RunOptions()), doubling())


def test_a_provider_that_fails_at_its_start() -> None:
    class Failing(Absent):
        chain = Provider.chain

    with (
        pytest.warns(UserWarning, match="AbsentExecutionProvider"),
        pytest.raises(ProviderError, match=r"Absent failed to start .*AbsentExecutionProvider"),
    ):
        open_on(Failing(RunOptions()), doubling())


def test_a_wheel_without_the_provider_names_what_to_install() -> None:
    class Foreign(Provider):
        name, label, ort_name = "foreign", "Foreign", "ForeignExecutionProvider"

    with pytest.raises(ProviderError, match=r"Foreign cannot be used.*built without it.*Install an ONNX Runtime"):
        open_on(Foreign(RunOptions()), doubling())


class Checked(Cpu):
    """The CPU, run once before it counts as opened."""

    name, label, universal, first_run = "checked", "Checked", False, True


def test_auto_goes_on_where_the_first_run_fails(model: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "candidates", lambda name: (Checked, Cpu))
    session = Session(breaking_model(model))
    assert session.provider.name == "cpu"
    assert session.provider_reason.startswith("no Checked: checked loads but cannot run the model (")
    assert "warm_up" not in session.ms


def test_a_provider_asked_for_whose_first_run_fails(model: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "candidates", lambda name: (Checked,))
    with pytest.raises(ProviderError, match=r"checked loads but cannot run the model.*Use --provider cpu"):
        Session(breaking_model(model))


class Recording(Cpu):
    """The CPU with buffers that stay, as the replay of a CUDA graph has them."""

    name, label, takes, first_run = "recording", "Recording", frozenset({"cuda_graph"}), True


class Refusing(Recording):
    """One that cannot record."""

    def session_options(self, ort: Any) -> Any:
        if self.cuda_graph:
            raise ProviderError("the graph cannot be recorded")
        return super().session_options(ort)


@pytest.mark.parametrize(("kind", "recorded"), [(Recording, True), (Refusing, False)])
def test_a_graph_that_cannot_be_recorded_is_given_up_and_the_provider_is_not(
    kind: type[Provider], recorded: bool, model: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "candidates", lambda name: (kind,))
    window = noise_image(252, 252).astype(np.float32).transpose(2, 0, 1)[None] / 255
    wanted = Session(model.path, RunOptions(provider="cpu")).run(window)
    session = Session(model.path, RunOptions(tuning=Tuning(cuda_graph=True)))
    assert session.provider.name == kind.name
    assert session.cuda_graph is recorded
    np.testing.assert_array_equal(session.run(window), wanted)
    assert not Session(model.path).cuda_graph  # nobody asked


def test_less_than_one_thread() -> None:
    with pytest.raises(SegError, match="number of threads is 0; expected 1 or more"):
        RunOptions(threads=0)


def test_a_path_is_opened_as_its_content_is(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(doubling())
    session = open_on(Cpu(RunOptions(provider="cpu")), tmp_path / "m.onnx")
    assert session.run(None, {"x": np.ones(3, np.float32)})[0].tolist() == [2, 2, 2]
