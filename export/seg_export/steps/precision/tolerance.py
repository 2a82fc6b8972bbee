"""What a device may err by in int8 or fp16, and whether this processor's kernels err by more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from seg_runtime import Contract, Float, Infer, ParityError
from seg_runtime.pipeline import window_logits

from ...proof import CANDIDATES, Tolerance, generated, generated_images

HEADROOM = {"int8": 2.0, "fp16": 4.0}  # of the self-test's limits over the error here: others round otherwise
LEAST = {"int8": (1e-2, 2e-3), "fp16": (1e-3, 2e-4)}  # of them: two of int8's 255 steps, one step of fp16 near 1
LOOSEST = 0.5  # of those limits: above, the self-test would pass anything
NOISE = 3.0  # int8 kernels may err by so many times what int8 itself costs before they are said to saturate
EXACT = 1e-3  # of the range: a quarter of an 8-bit step, which int8 itself is granted where it happens to cost less


def check_kernels(windows: Sequence[Float], fp32: Infer, exact: Infer, kernels: Infer) -> None:
    """Refuse a processor whose kernels do not compute what the file says.

    Args:
        windows: real ones.
        fp32: the network before.
        exact: the int8 graph operator by operator.
        kernels: the int8 graph as this processor computes it.

    Raises:
        ParityError: they err by far more than int8 itself does.
    """
    own, wrong = [], []
    for window in windows:
        right = exact(window)[0]
        own.append(_rms(right, fp32(window)[0]))
        wrong.append(_rms(kernels(window)[0], right))
    if max(wrong) > NOISE * max(*own, EXACT):
        problem = f"int8 kernels of this processor err by {max(wrong):.1e} of the range, int8 itself by {max(own):.1e}"
        raise ParityError(problem, "the same order", "pass --reduce-range; nothing was written")


def tolerance(reference: Infer, answer: Infer, contract: Contract) -> Tolerance:
    """What the self-test allows: the error measured on made-up images, times `HEADROOM`, rounded up to one digit.

    Args:
        reference: what golden samples are answered by.
        answer: the form that was proven.
        contract: of both.

    Raises:
        ParityError: so large an error that a self-test would pass anything.
    """
    headroom, largest, rms = HEADROOM[contract.file.precision], 0.0, 0.0
    for values in generated_images(contract, CANDIDATES, seed=1):
        image = generated(values, contract).image()
        [wanted], [given] = (list(window_logits(image, contract, infer)[1]) for infer in (reference, answer))
        largest = max(largest, float(np.abs(given - wanted).max() / np.ptp(wanted)))
        rms = max(rms, _rms(given, wanted))
    if not headroom * largest < LOOSEST:
        problem = f"made-up images differ by {largest:.1e} of the logits' range"
        fix = "nothing was written; a self-test could prove nothing"
        raise ParityError(problem, f"below {LOOSEST / headroom:.1e}", fix)
    least, least_rms = LEAST[contract.file.precision]
    return Tolerance(max(least, _rounded_up(headroom * largest)), max(least_rms, _rounded_up(headroom * rms)))


def _rms(given: Float, wanted: Float) -> float:
    """Root of the mean squared error, as a share of the wanted logits' range."""
    return float(np.sqrt(np.mean((given.astype(np.float64) - wanted) ** 2)) / max(float(np.ptp(wanted)), 1e-30))


def _rounded_up(value: float) -> float:
    """To one significant digit."""
    value = max(value, 1e-9)
    unit = 10.0 ** np.floor(np.log10(value))
    return float(f"{np.ceil(value / unit - 1e-9) * unit:.0e}")
