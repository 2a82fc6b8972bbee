"""A helper prepares and finishes windows beside the inference: same values, same order, clean ends."""

from __future__ import annotations

import itertools
import signal
import threading
import time

import numpy as np
import pytest
from seg_runtime import Contract, Intensity
from seg_runtime.answers import answer_of
from seg_runtime.pipeline import Float, Grid, Timings, activate, segment, window_logits

from tests.support.contracts import changed, contract
from tests.support.images import noise_image

COLORS = ((0, 0, 0), (255, 0, 0), (0, 255, 0))
WIDE = contract(48, 32, 3, channels=3)


def centre(window: Float) -> Float:
    """A network of one pixel: its logits are the window's centre, one class for each channel, as a view of the input."""
    return window[:, :, 8:-8, 8:-8]


def in_turn(image: np.ndarray, contract: Contract) -> Float:
    """Logits of the whole image, one window after the other."""
    grid = Grid.of(image.shape[:2], contract.geometry)
    pieces = [centre(window)[0] for window in grid.windows(image, contract.input.intensity)]
    return grid.stitch(pieces, np.zeros((3, *image.shape[:2]), np.float32))


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (33, 31), (200, 150)])
@pytest.mark.parametrize(
    "intensity",
    [
        Intensity("scale"), Intensity("window", level=90, width=60), Intensity("zscore", std_floor=1e-3),
        Intensity("standardize", mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)),
    ],
    ids=lambda intensity: intensity.method,
)  # fmt: skip
def test_the_same_bits_as_one_thing_after_the_other(size: tuple[int, int], intensity: Intensity) -> None:
    contract, image = changed(WIDE, intensity=intensity), noise_image(*size)
    wanted = in_turn(image, contract)
    labels, scores = segment(image, contract, centre, answer_of(contract), probabilities=True)
    np.testing.assert_array_equal(answer_of(contract).segment(image, centre), answer_of(contract).window(wanted))
    np.testing.assert_array_equal(labels, answer_of(contract).window(wanted))
    np.testing.assert_array_equal(scores, activate(wanted, contract.answer.activation))
    grid, answers = window_logits(image, contract, centre)
    np.testing.assert_array_equal(grid.stitch(answers, np.zeros_like(wanted)), wanted)


def test_the_inference_runs_in_the_callers_thread_and_progress_counts_up() -> None:
    threads, seen = set(), []

    def infer(window: Float) -> Float:
        threads.add(threading.get_ident())
        return centre(window)

    answer_of(WIDE).segment(noise_image(100, 70), infer, progress=lambda *at: seen.append(at))
    assert threads == {threading.get_ident()}
    assert seen == [(n, 12) for n in range(1, 13)]


def test_windows_are_prepared_and_finished_beside_the_inference() -> None:
    """While the second window is in the network, the first is finished and the third is made by another thread."""
    beside: set[int] = set()

    class Watched(Timings):
        def add(self, stage: str, start: float) -> float:
            if stage != "inference":
                beside.add(threading.get_ident())
            return super().add(stage, start)

    times = Watched()
    answer_of(WIDE).segment(noise_image(100, 70), centre, times)
    assert len(beside) == 2
    assert set(times.ms) == {"preprocess", "inference", "postprocess"}


def test_a_window_that_is_kept_is_not_written_over_while_it_counts() -> None:
    """Two windows are alive at a time, never more."""
    seen: list[int] = []

    def infer(window: Float) -> Float:
        seen.append(window.__array_interface__["data"][0])
        return centre(window)

    answer_of(WIDE).segment(noise_image(100, 70), infer)
    assert len(set(seen)) == 2
    assert all(a != b for a, b in itertools.pairwise(seen))


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("broken", [1, 2, 7, 12])
def test_an_error_in_the_middle_of_inference(broken: int) -> None:
    calls: list[int] = []

    def infer(window: Float) -> Float:
        calls.append(1)
        if len(calls) == broken:
            raise BrokenError
        return centre(window)

    before = threading.active_count()
    with pytest.raises(BrokenError):
        answer_of(WIDE).segment(noise_image(100, 70), infer)
    assert len(calls) == broken
    assert threading.active_count() == before


@pytest.mark.parametrize("broken", [1, 2, 7, 12])
def test_an_error_in_the_helper(broken: int) -> None:
    """Logits of a wrong shape: deciding works, placing them does not, in the helper or for the last window here."""
    calls: list[int] = []

    def infer(window: Float) -> Float:
        calls.append(1)
        return centre(window)[..., : 5 if len(calls) == broken else None]

    before = threading.active_count()
    with pytest.raises(ValueError, match="broadcast"):
        answer_of(WIDE).segment(noise_image(100, 70), infer)
    assert len(calls) <= broken + 1
    assert threading.active_count() == before


def test_an_error_of_progress_ends_it() -> None:
    def progress(done: int, total: int) -> None:
        raise BrokenError

    with pytest.raises(BrokenError):
        answer_of(WIDE).segment(noise_image(100, 70), centre, progress=progress)


def test_ctrl_c_in_the_middle() -> None:
    calls: list[int] = []

    def infer(window: Float) -> Float:
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0)  # where Python looks for signals
        return centre(window)

    before = threading.active_count()
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            answer_of(WIDE).segment(noise_image(100, 70), infer)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert len(calls) == 3
    assert threading.active_count() == before
    np.testing.assert_array_equal(
        answer_of(WIDE).segment(noise_image(100, 70), centre),
        answer_of(WIDE).window(in_turn(noise_image(100, 70), WIDE)),
    )
