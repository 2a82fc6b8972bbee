"""The mean over a window's eight views: exact, stitched without seams, and the same wherever it is computed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from seg_runtime import Contract, ModelError, Segmenter
from seg_runtime.answers import answer_of
from seg_runtime.pipeline import Array, Float, activate, mirror_index, segment
from seg_runtime.pipeline.tta import VIEWS, averaged, turned, turned_back

from tests.support.commands import ok
from tests.support.commands import seg_run_on_cpu as seg_run
from tests.support.contracts import changed, contract
from tests.support.images import noise_image
from tests.support.models import HOST_READY, Made, MakeModel

TINY = contract(4, 2, stride=2)
MULTILABEL = contract(4, 2, stride=2, decision="threshold", threshold=0.45)


def test_the_eight_views_are_all_symmetries_of_the_square() -> None:
    square = np.arange(9).reshape(3, 3)
    views = [turned(square, view) for view in range(VIEWS)]
    ways = [np.rot90(s, k) for s in (square, square.T) for k in range(4)]
    assert {v.tobytes() for v in views} == {w.tobytes() for w in ways}
    assert len({v.tobytes() for v in views}) == 8
    for view, values in enumerate(views):
        np.testing.assert_array_equal(turned_back(values, view), square)


def one_corner(windows: Float) -> Float:
    """A network that sees nothing: a logit of ln 3 for the second class in the first pixel, 0 for all else."""
    logits = np.zeros((len(windows), 2, 2, 2), np.float32)
    logits[:, 1, 0, 0] = np.log(3)
    return logits


def test_the_mean_by_hand() -> None:
    """Two of eight views put each corner where the network says 3/4; the other six leave it at 1/2."""
    logits = averaged(one_corner, TINY)(np.zeros((1, 1, 4, 4), np.float32))
    assert logits.shape == (1, 2, 2, 2)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(activate(logits[0], TINY.answer.activation)[1], np.full((2, 2), 9 / 16), rtol=1e-6)
    assert answer_of(TINY).window(logits[0]).tolist() == [[1, 1], [1, 1]]


def test_the_mean_of_classes_that_exclude_nothing() -> None:
    logits = averaged(one_corner, MULTILABEL)(np.zeros((1, 1, 4, 4), np.float32))
    np.testing.assert_allclose(
        activate(logits[0], MULTILABEL.answer.activation), [np.full((2, 2), 0.5), np.full((2, 2), 9 / 16)], rtol=1e-6
    )
    assert answer_of(MULTILABEL).window(logits[0]).all()
    assert not answer_of(changed(MULTILABEL, threshold=0.57)).window(logits[0]).any()


@pytest.mark.parametrize("contract", [TINY, MULTILABEL], ids=["softmax", "sigmoid"])
def test_a_network_that_is_quite_sure_keeps_finite_logits(contract: Contract) -> None:
    sure = averaged(lambda windows: one_corner(windows) * 1000 - 500, contract)(np.zeros((1, 1, 4, 4), np.float32))
    assert np.isfinite(sure).all()


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_windows_of_a_group_keep_apart_and_calls_are_no_larger_than_the_file_takes(batch: int) -> None:
    sizes = []

    def infer(windows: Float) -> Float:
        sizes.append(len(windows))
        assert windows.flags.c_contiguous
        return np.concatenate([windows, -windows], axis=1)[..., 1:-1, 1:-1]  # what a window says is its own centre

    windows = np.random.default_rng(0).normal(size=(batch, 1, 4, 4)).astype(np.float32)
    contract = changed(TINY, batch=batch)
    got = averaged(infer, contract)(windows)
    assert sum(sizes) == 8 * batch
    assert max(sizes) <= batch
    for logits, window in zip(got, windows, strict=True):
        plain = np.concatenate([window, -window])[..., 1:-1, 1:-1]
        np.testing.assert_allclose(
            activate(logits, contract.answer.activation), activate(plain, contract.answer.activation), rtol=1e-5
        )


def test_slices_of_a_volume_are_turned_in_their_plane() -> None:
    contract = changed(TINY, input_shape=(6, 4, 4), output_shape=(4, 2, 2))

    def infer(windows: Float) -> Float:
        depth = np.arange(4, dtype=np.float32)[:, None, None]
        return np.stack([np.broadcast_to(depth, (4, 2, 2)), np.zeros((4, 2, 2), np.float32)])[None].repeat(
            len(windows), 0
        )

    window = np.zeros((1, 1, 6, 4, 4), np.float32)
    wanted = activate(infer(window)[0], contract.answer.activation)
    np.testing.assert_allclose(
        activate(averaged(infer, contract)(window)[0], contract.answer.activation), wanted, rtol=1e-6
    )


def whole(made: Made, image: Array, turn_the_image: bool = False) -> Float:
    """Mean probabilities over the eight views of one pass over the image mirrored to the next size of 16k + 60 px.

    With `turn_the_image` the image is turned before it is mirrored, and meets the poolings in another phase.
    """
    total = np.zeros((2, *image.shape[:2]))
    for view in range(VIEWS):
        planes = (image.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)
        if turn_the_image:
            planes = turned(planes, view)
        height, width = planes.shape[1:]
        for axis in (1, 2):
            size = planes.shape[axis]
            planes = planes.take(mirror_index(-92, -(-(size + 124) // 16) * 16 + 60, size), axis=axis)
        if not turn_the_image:
            planes = turned(planes, view)
        logits = made.torch_run(np.ascontiguousarray(planes[None]))[0]
        if turn_the_image:
            total += turned_back(activate(logits[:, :height, :width], made.contract.answer.activation), view)
        else:
            total += turned_back(activate(logits, made.contract.answer.activation), view)[
                :, : image.shape[0], : image.shape[1]
            ]
    return total / VIEWS


def test_turned_windows_meet_without_seams(model: Made) -> None:
    """What is stitched of windows is one pass over the whole; and turning the image itself would be something else."""
    image = noise_image(131, 90, seed=3)
    _, got = segment(
        image, model.contract, averaged(model.torch_run, model.contract), answer_of(model.contract), probabilities=True
    )
    assert np.abs(got - whole(model, image)).max() < 1e-5
    assert np.abs(got - whole(model, image, turn_the_image=True)).max() > 1e-3
    _, plain = segment(image, model.contract, model.torch_run, answer_of(model.contract), probabilities=True)
    assert np.abs(got - plain).max() > 1e-2


@pytest.mark.parametrize("geometry", ["tile", "fit"])
def test_the_file_answers_as_torch_does(make_model: MakeModel, geometry: str) -> None:
    made = make_model(geometry=geometry)
    image = noise_image(131, 90, seed=3)
    infer = averaged(made.torch_run, made.contract)
    wanted, scores = segment(image, made.contract, infer, answer_of(made.contract), probabilities=True)
    np.testing.assert_array_equal(answer_of(made.contract).segment(image, infer), wanted)
    with Segmenter(made.path, provider="cpu", tta=True) as segmenter:
        result = segmenter(image)
        assert np.abs(result.probabilities - scores).max() < 1e-5
        undecided = answer_of(made.contract).margins(np.log(scores)) < 1e-4
        np.testing.assert_array_equal(result.labels[~undecided], wanted[~undecided])
        assert undecided.mean() < 1e-3
        np.testing.assert_array_equal(segmenter(image, probabilities=True).probabilities, result.probabilities)
        assert result.record["model"]["tta"] is True
    with Segmenter(made.path, provider="cpu") as segmenter:
        result = segmenter(image)
        assert result.record["model"]["tta"] is False
        assert (result.labels != wanted).mean() > 0.01


@pytest.mark.parametrize(
    ("contract", "words"),
    [
        (changed(TINY, dtype="uint8"), "host-ready"),
        (changed(TINY, input_shape=(4, 6), output_shape=(2, 4)), "square windows"),
        (changed(TINY, input_shape=(4,), output_shape=(2,)), "square"),
        (changed(TINY, provenance={"orientation": "upright"}), "upright images only"),
    ],
    ids=["host-ready", "wide", "line", "upright"],
)
def test_a_model_that_cannot_be_turned_is_refused(contract: Contract, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        averaged(one_corner, contract)


@pytest.mark.parametrize("provenance", [{}, {"orientation": "any"}])
def test_the_orientation_any_and_an_unknown_one_are_turned(provenance: dict[str, str]) -> None:
    scores = averaged(one_corner, changed(TINY, provenance=provenance))(np.zeros((1, 1, 4, 4), np.float32))
    assert scores.shape == (1, 2, 2, 2)


def test_seg_run_refuses_a_host_ready_file(make_model: MakeModel, tmp_path: Path) -> None:
    Image.fromarray(noise_image(20, 30)).save(tmp_path / "a.png")
    path = make_model(options=HOST_READY).path
    done = seg_run("--model", path, "--out", tmp_path / "out", "--tta", tmp_path / "a.png")
    assert done.exit_code == 1
    assert "--tta needs a model exported without --host-ready" in done.stderr
    assert not (tmp_path / "out").exists()


def test_seg_run_tells_it_and_does_not_take_one_for_the_other(model_file: Path, tmp_path: Path) -> None:
    Image.fromarray(noise_image(20, 30)).save(tmp_path / "a.png")
    words = ["--model", model_file, "--out", tmp_path / "out", tmp_path / "a.png"]
    ok(seg_run(*words, "--tta"))
    assert json.loads((tmp_path / "out" / "a.json").read_text())["model"]["tta"] is True
    assert "1 already done" in seg_run(*words, "--tta").stdout
    plain = seg_run(*words)
    assert plain.exit_code == 1
    assert "is the record of a run with --tta" in plain.stderr
    ok(seg_run(*words, "--overwrite"))
    assert json.loads((tmp_path / "out" / "a.json").read_text())["model"]["tta"] is False
