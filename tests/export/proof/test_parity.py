import json
import math

import numpy as np
import pytest
from seg_export.proof import Parity, compare, enough
from seg_export.proof.parity import Limits
from seg_runtime.support.errors import ParityError

from tests.support.contracts import contract

CONTRACT = contract(188, method="fit")


def logits(second: float) -> np.ndarray:
    """Class 0 at 0 everywhere, class 1 at 10 but for one pixel at `second`."""
    values = np.zeros((2, 4, 4), np.float32)
    values[1] = 10
    values[1, 0, 0] = second
    return values


def test_figures_by_hand():
    result = Parity()
    result.add(logits(0.002), logits(-0.001), CONTRACT)
    assert result.pixels == 16
    assert result.flipped == 1
    assert result.max_abs_error == pytest.approx(0.003, rel=1e-5)
    assert result.relative_error == pytest.approx(0.0003, rel=1e-5)
    assert result.flipped_per_million == 1e6 / 16
    assert result.max_flip_margin == pytest.approx(0.002, rel=1e-5)


def test_equal_logits_hold():
    result = Parity()
    result.add(logits(1), logits(1), CONTRACT)
    assert result.failures() == []


def test_error_over_the_limit_fails():
    result = Parity()
    result.add(logits(5), logits(5.002), CONTRACT)
    with pytest.raises(ParityError, match="of the logits' range"):
        result.require("it")


def test_flip_with_a_margin_fails_even_within_a_wide_error_limit():
    wide = Limits(error_of_range=1.0, flip_margin_errors=0.5)
    result = Parity()
    result.add(logits(2), logits(-1), CONTRACT)
    assert result.failures(wide) == ["a label flipped at a margin of 2.00e+00, limit 1.50e+00"]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_not_finite_answer_fails(bad):
    answer = logits(1)
    answer[0, 1, 1] = bad
    result = Parity()
    result.add(logits(1), answer, CONTRACT)
    assert any("NaN or infinite" in reason for reason in result.failures())
    json.dumps(result.as_dict(), allow_nan=False)


def test_a_blank_network_has_no_range_and_fails():
    blank = np.zeros((2, 4, 4), np.float32)
    result = Parity()
    result.add(blank, blank, CONTRACT)
    assert result.failures() == ["the reference logits are the same everywhere, so nothing can be proven"]


@pytest.mark.parametrize(("side", "windows"), [(188, 4), (572, 4), (748, 2), (1084, 1), (1596, 1)])
def test_as_many_px_are_compared_in_fewer_large_windows(side, windows):
    one = contract(side, method="fit")
    assert enough(4, 1, one) == windows
    assert enough(6, 2, one) >= 2


def test_nothing_compared_is_not_parity():
    assert compare([], [], CONTRACT).failures()
