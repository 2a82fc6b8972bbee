"""Several files of one model: each image goes to the cheapest, and its labels do not depend on which that was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from seg_export.graph import stamped
from seg_export.options import ExportOptions
from seg_export.pipeline import export, write
from seg_runtime import Intensity, ModelError, Segmenter
from seg_runtime.answers import answer_of
from seg_runtime.engine.ensemble import check_same
from seg_runtime.engine.session import Session
from seg_runtime.model.contract import Contract
from seg_runtime.pipeline import Grid, window_logits
from seg_toolkit.checkpoints import load

from tests.support.commands import errors, ok, seg_edge, seg_run
from tests.support.contracts import changed
from tests.support.damage import resealed, spoil_one_weight
from tests.support.images import noise_image, picture
from tests.support.models import CPU, HOST_READY, Made, MakeModel

LARGER = 380  # px; it leaves 196 and steps by 192, where 252 leaves 68 and steps by 64


@pytest.fixture(scope="module")
def larger(model: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quick model exported again, with a larger window."""
    path = tmp_path_factory.mktemp("larger") / "model-380.onnx"
    write(export(load(model.checkpoint), ExportOptions(input_size=LARGER)), path)
    return path


def whole_logits(session: Session, image: np.ndarray) -> np.ndarray:
    grid, answers = window_logits(image, session.contract, session.run)
    return grid.stitch(answers, np.zeros((2, *grid.shape), np.float32))


@pytest.mark.parametrize("size", [(1, 1), (68, 68), (70, 150), (197, 196), (300, 410)])
def test_labels_do_not_depend_on_the_window(model: Made, larger: Path, size: tuple[int, int]) -> None:
    image = noise_image(*size, seed=5)
    small, large = Session(model.path, CPU), Session(larger, CPU)
    ours, theirs = whole_logits(small, image), whole_logits(large, image)
    error = np.abs(ours - theirs).max()
    assert error <= 1e-5 * max(1.0, float(np.ptp(ours)))
    flipped = answer_of(small.contract).segment(image, small.run) != answer_of(large.contract).segment(image, large.run)
    assert (answer_of(small.contract).margins(ours)[flipped] <= 2 * error).all()  # only what float rounding may move
    assert flipped.mean() <= 1e-4


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((60, 68), 252),  # 1 window of 252² px against 1 of 380²
        ((128, 68), 252),  # 2 against 1: 127,008 px against 144,400
        ((132, 132), LARGER),  # 4 against 1: 254,016 px against 144,400
        ((1, 260), 252),  # 4 against 2: 254,016 px against 288,800
        ((400, 400), LARGER),  # 49 against 9
    ],
)
def test_the_cheapest_file_answers_and_the_record_names_it(
    model: Made, larger: Path, size: tuple[int, int], window: int
) -> None:
    segmenter = Segmenter([model.path, larger], provider="cpu")
    result = segmenter(noise_image(*size, seed=5))
    alone = Segmenter(model.path if window == 252 else larger, provider="cpu")
    assert result.record["model"]["sha256"] == alone.model_sha256
    assert result.record["model"]["window"] == [window, window]
    assert result.contract.geometry.input_shape == (window, window)
    np.testing.assert_array_equal(result.labels, alone(noise_image(*size, seed=5)).labels)
    np.testing.assert_array_equal(result.probabilities, alone(noise_image(*size, seed=5)).probabilities)


def test_the_order_of_the_files_does_not_matter_for_the_choice(model: Made, larger: Path) -> None:
    segmenter = Segmenter((larger, model.path), provider="cpu")
    assert segmenter(noise_image(60, 60)).contract.geometry.input_shape == (252, 252)
    assert segmenter.model_sha256 == Segmenter(larger, provider="cpu").model_sha256


def test_a_file_is_opened_when_it_is_needed(model: Made, larger: Path) -> None:
    segmenter = Segmenter([model.path, larger.read_bytes()], provider="cpu")
    members = segmenter._files.members
    first = segmenter(noise_image(60, 60)).record
    assert members[1].session is None
    second = segmenter(noise_image(132, 132)).record
    third = segmenter(noise_image(132, 132)).record
    assert members[1].session is not None
    assert ["load" in record["ms"] for record in (first, second, third)] == [True, True, False]


def test_milliseconds_count_once_every_file_has_been_measured(model: Made, larger: Path) -> None:
    segmenter = Segmenter([model.path, larger], provider="cpu")
    small, large = segmenter._files.members
    small.ms, large.ms = [1.0, 1.0], [5.0]
    assert segmenter._files.choose((132, 132)) is large  # not measured enough: by pixels
    large.ms = [5.0, 5.0]
    assert segmenter._files.choose((132, 132)) is small  # 4 windows of 1 ms against 1 of 5 ms
    large.ms = [5.0, 3.0]
    assert segmenter._files.choose((132, 132)) is large


def test_warming_up_measures_every_file(model: Made, larger: Path) -> None:
    segmenter = Segmenter([model.path, larger], provider="cpu")
    segmenter.warm_up()
    members = segmenter._files.members
    assert [len(member.ms) for member in members] == [2, 2]
    assert {"load", "warm_up"} <= set(segmenter(noise_image(60, 60)).record["ms"])
    cheapest = min(members, key=lambda m: min(m.ms) * len(Grid.of((400, 400), m.contract.geometry).origins()))
    assert segmenter._files.choose((400, 400)) is cheapest


def test_a_file_that_changed_meanwhile(model: Made, larger: Path, make_model: MakeModel, tmp_path: Path) -> None:
    path = tmp_path / "second.onnx"
    path.write_bytes(larger.read_bytes())
    segmenter = Segmenter([model.path, path], provider="cpu")
    path.write_bytes(make_model(seed=3).path.read_bytes())
    with pytest.raises(ModelError, match=r"second.onnx changed during the run"):
        segmenter(noise_image(132, 132))
    assert segmenter(noise_image(60, 60)).labels.shape == (60, 60)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seed": 3}, "weights_sha256"),
        ({"classes": 3}, "weights_sha256"),
        ({"geometry": "fit"}, r"geometry\.method is 'fit'; expected 'tile'"),
        ({"intensity": Intensity("zscore", std_floor=1e-3)}, "intensity"),
        ({"skip": "resize"}, "weights_sha256"),
    ],
)
def test_files_of_another_model_are_refused_by_the_first_difference(
    model: Made, make_model: MakeModel, change: dict[str, object], word: str
) -> None:
    other = make_model(**change)
    with pytest.raises(ModelError, match=rf"model.onnx belongs to another model: its .*({word})"):
        Segmenter([model.path, other.path], provider="cpu")


def test_contracts_that_differ(model: Made) -> None:
    contract = Session(model.path, CPU).contract
    check_same(contract, changed(contract, input_shape=(268, 268), output_shape=(84, 84)), "other.onnx")
    with pytest.raises(ModelError, match="margin"):
        check_same(contract, changed(contract, output_shape=(66, 66)), "other.onnx")
    with pytest.raises(ModelError, match="weights_sha256 is None"):
        check_same(contract, changed(contract, provenance={}), "other.onnx")
    resize = changed(contract, provenance={**contract.provenance, "network": {"skip": "resize"}})
    with pytest.raises(ModelError, match="--skip resize"):
        check_same(resize, resize, "other.onnx")


def test_no_file_at_all() -> None:
    with pytest.raises(ModelError, match="no model is given"):
        Segmenter([], provider="cpu")


def test_a_file_without_a_size_of_its_own_is_no_help(model: Made, make_model: MakeModel) -> None:

    with pytest.raises(ModelError, match=r"file\.kind is 'host-ready'"):
        Segmenter([model.path, make_model(options=HOST_READY).path], provider="cpu")


def test_other_geometries_take_the_first_file(make_model: MakeModel, tmp_path: Path) -> None:
    made = make_model(geometry="fit")
    write(export(load(made.checkpoint), ExportOptions(input_size=LARGER)), tmp_path / "larger.onnx")
    segmenter = Segmenter([made.path, tmp_path / "larger.onnx"], provider="cpu")
    assert segmenter(noise_image(400, 400)).contract.geometry.input_shape == (252, 252)


def test_both_self_tests_are_taken(model: Made, larger: Path) -> None:
    segmenter = Segmenter([model.path, larger], provider="cpu", self_test=True)
    assert segmenter.test_report is not None
    assert segmenter.test_report["model"]["sha256"] == segmenter.model_sha256
    segmenter(noise_image(132, 132))
    assert segmenter._files.members[1].session.golden is None  # it has done its work


def test_on_the_command_line(model: Made, larger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--model", model.path, "--model", larger, "--provider", "cpu", "--out", "out"]
    images = [picture("small.png", height=60, width=60), picture("large.png", height=132, width=132)]
    assert "2 segmented" in seg_run(*words, *images).stdout
    shas = {name: json.loads(Path(f"out/{name}.json").read_bytes())["model"]["sha256"] for name in ("small", "large")}
    assert shas["small"] != shas["large"]
    assert "2 already done" in seg_run(*words, *images).stdout
    refused = seg_run("--model", model.path, images[1], "--out", "out")
    assert "another model" in errors(refused.stderr)[0]


def test_the_self_test_tests_every_file(
    model: Made, larger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = ok(seg_edge("self-test", "--model", model.path, "--model", larger, "--provider", "cpu"))
    reports = json.loads(done.stdout)
    assert [r["file"] for r in reports] == [str(model.path), str(larger)]
    assert [r["self_test"]["passed"] for r in reports] == [True, True]
    Path("spoiled.onnx").write_bytes(resealed(larger, spoil_one_weight))
    for order in (["spoiled.onnx", model.path], [model.path, "spoiled.onnx"]):
        failed = seg_edge("self-test", *(w for path in order for w in ("--model", path)), "--provider", "cpu")
        assert failed.exit_code == 1
        passed = {Path(r["file"]).name: r["self_test"]["passed"] for r in json.loads(failed.stdout)}
        assert passed == {"spoiled.onnx": False, model.path.name: True}
        assert "does not reproduce the golden samples" in errors(failed.stderr)[0]


@pytest.fixture(scope="module")
def four(model: Made) -> bytes:
    """The quick model again, four windows a call."""
    return export(load(model.checkpoint), ExportOptions(batch=4)).content


def test_a_file_of_several_windows_a_call_is_one_more_choice(model: Made, four: bytes) -> None:
    segmenter = Segmenter([model.path, four], provider="cpu")
    one, batch = segmenter._files.members
    assert [m.calls((132, 132)) for m in (one, batch)] == [4, 1]
    assert [m.calls((132, 196)) for m in (one, batch)] == [6, 2]
    for size in ((68, 68), (132, 132), (132, 196)):  # by pixels a batch never wins, be it full
        assert segmenter._files.choose(size) is one
    one.ms, batch.ms = [2.0, 2.0], [5.0, 5.0]
    chosen = [segmenter._files.choose(size) is batch for size in ((68, 68), (132, 132), (132, 196))]
    assert chosen == [False, True, True]  # 2 against 5 ms, 8 against 5, 12 against 10
    result = segmenter(noise_image(132, 196, seed=5))
    assert result.contract.file.batch == 4
    np.testing.assert_array_equal(
        result.labels, Segmenter(model.path, provider="cpu")(noise_image(132, 196, seed=5)).labels
    )
    assert len(batch.ms) == 3


def test_the_contract_of_an_odd_second_file(model: Made) -> None:
    odd = changed(Contract.from_json(model.contract.to_json()), pixels="float", provenance=model.contract.provenance)
    with pytest.raises(ModelError, match="pixels is 'float'"):
        Segmenter([model.path, stamped(onnx.load(model.path), odd)], provider="cpu")
