"""A step of another package: found by its name, checked before the work, proven afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper
from seg_export import pipeline
from seg_export.options import ExportOptions, Watching
from seg_export.pipeline import STEPS, export
from seg_export.steps import Request, State, Step
from seg_runtime import Intensity, ParityError, SegError, Segmenter
from seg_toolkit.checkpoints import load

from tests.support.commands import ok, seg_export
from tests.support.damage import spoil_one_weight
from tests.support.images import noise_image
from tests.support.models import Made


class Renaming(Step):
    """The last value gets a detour, which changes no answer."""

    def apply(self, state: State) -> None:
        graph = onnx.ModelProto()
        graph.CopyFrom(state.graph)
        last = next(node for node in graph.graph.node if graph.graph.output[0].name in node.output)
        name = last.output[0]
        last.output[0] = "detour"
        graph.graph.node.append(helper.make_node("Identity", ["detour"], [name]))
        state.change(graph, state.contract)
        state.note(provenance={"renamed": True})


class Spoiling(Step):
    """A weight changes, in place."""

    def apply(self, state: State) -> None:
        spoil_one_weight(state.graph)


class Reinterpreting(Step):
    """It leaves the graph alone and says that other grey values go in."""

    def apply(self, state: State) -> None:
        contract = state.contract
        state.change(
            state.graph, replace(contract, input=replace(contract.input, intensity=Intensity("zscore", std_floor=0.1)))
        )


class Refusing(Step):
    """It wants another model."""

    def check(self, request: Request) -> None:
        raise SegError(f"a model of {request.contract.input.channels} channels", "two", "leave the step out")

    def apply(self, state: State) -> None:
        raise AssertionError("a step that refused must not work")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As installed packages would offer them."""
    for name, step in (
        ("renaming", Renaming),
        ("spoiling", Spoiling),
        ("reinterpreting", Reinterpreting),
        ("refusing", Refusing),
    ):
        monkeypatch.setitem(STEPS.own, name, step)


FORMS = [{}, {"batch": 2}, {"host_ready": True}, {"optimize": True}]


@pytest.mark.parametrize("options", FORMS)
def test_a_step_that_changes_no_answer(model: Made, steps: None, options: dict[str, object]) -> None:
    seen: list[tuple[int, int]] = []
    watching = Watching(progress=lambda what, *counts: seen.append(counts) if what == "comparing renaming" else None)
    made = export(load(model.checkpoint), ExportOptions(**options, steps=("renaming",)), watching)
    assert made.contract.provenance["renamed"]
    assert made.contract.parity["renaming"]["max_abs_error"] == 0
    assert made.contract.parity["renaming"]["windows"] == seen[-1][0] == seen[-1][1] == len(seen)
    image = noise_image(100, 90)
    with (
        Segmenter(made.content, provider="cpu", self_test=True) as ours,
        Segmenter(model.path, provider="cpu") as plain,
    ):
        assert np.array_equal(ours(image).labels, plain(image).labels)


@pytest.mark.parametrize("options", FORMS)
def test_a_step_that_changes_answers_is_refused(model: Made, steps: None, options: dict[str, object]) -> None:
    with pytest.raises(ParityError, match="the file after the step spoiling does not agree with the graph before"):
        export(load(model.checkpoint), ExportOptions(**options, steps=("renaming", "spoiling")))


def forbidden(*_: object) -> Callable[..., object]:
    raise AssertionError("long work began")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (ExportOptions(steps=("refusing",)), "a model of 3 channels; expected two. Leave the step out"),
        (ExportOptions(steps=("renaming", "unknown")), "unknown export step 'unknown'"),
        (ExportOptions(precision="int8"), "--precision needs real images"),
        (ExportOptions(host_ready=True, host_dtype="float32"), "--host-ready needs images of the kind"),
    ],
)
def test_refusals_come_before_the_work(
    model: Made, steps: None, monkeypatch: pytest.MonkeyPatch, options: ExportOptions, says: str
) -> None:
    monkeypatch.setattr(pipeline, "to_onnx", forbidden)
    with pytest.raises(SegError, match=says):
        export(load(model.checkpoint), options)


def test_on_the_command_line(model: Made, steps: None, tmp_path) -> None:
    done = ok(seg_export(model.checkpoint, tmp_path / "m.onnx", "--step", "renaming"))
    done = seg_export(model.checkpoint, tmp_path / "n.onnx", "--step", "renaming", "--step", "spoiling")
    assert done.exit_code == ParityError.exit_code
    assert "leave out --step spoiling" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


@pytest.mark.usefixtures("steps")
def test_a_step_may_not_change_what_the_logits_mean(model: Made) -> None:
    with pytest.raises(ParityError, match="the step reinterpreting changes the input of the contract"):
        export(load(model.checkpoint), ExportOptions(steps=("reinterpreting",)))
