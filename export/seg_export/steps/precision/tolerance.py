"""Tolerances of a device in int8 or fp16, and a check of the kernels of this processor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from seg_runtime import Contract, Float, Infer, ParityError
from seg_runtime.pipeline import window_logits

from ...proof import CANDIDATES, Tolerance, generated, generated_images

HEADROOM = {
    "int8": 2.0,
    "fp16": 4.0,
}  # ratio of the limits of the self-test to the error measured here, because other devices round differently
LEAST = {
    "int8": (1e-2, 2e-3),
    "fp16": (1e-3, 2e-4),
}  # smallest limits: two of the 255 steps of int8, one step of fp16 near 1
LOOSEST = 0.5  # largest limit; above, the self-test would pass anything
NOISE = 3.0  # kernels with an error above this multiple of the error of int8 itself are taken to saturate
EXACT = 1e-3  # smallest assumed error of int8 as a fraction of the range, a quarter of an 8-bit step


def check_kernels(windows: Sequence[Float], fp32: Infer, exact: Infer, kernels: Infer) -> None:
    """Check that the kernels of this processor compute what the file defines.

    Args:
        windows: windows of real images.
        fp32: the fp32 network.
        exact: the int8 graph without fused operators.
        kernels: the int8 graph as this processor computes it.

    Raises:
        ParityError: if their error is much larger than that of int8 itself.
    """
    own, wrong = [], []
    for window in windows:
        right = exact(window)[0]
        own.append(_rms(right, fp32(window)[0]))
        wrong.append(_rms(kernels(window)[0], right))
    if max(wrong) > NOISE * max(*own, EXACT):
        problem = (
            f"the int8 kernels of this processor have an error of {max(wrong):.1e} of the range, int8 itself one of"
            f" {max(own):.1e}"
        )
        raise ParityError(problem, "", "nothing was written; use --reduce-range")


def tolerance(reference: Infer, answer: Infer, contract: Contract) -> Tolerance:
    """Compute the tolerance of the self-test: the error on generated images times `HEADROOM`, rounded up to one digit.

    Args:
        reference: model for the golden samples.
        answer: the form that was proven.
        contract: contract of both.

    Raises:
        ParityError: if the error is so large that a self-test would pass anything.
    """
    headroom, largest, rms = HEADROOM[contract.file.precision], 0.0, 0.0
    for values in generated_images(contract, CANDIDATES, seed=1):
        image = generated(values, contract).image()
        [wanted], [given] = (list(window_logits(image, contract, infer)[1]) for infer in (reference, answer))
        largest = max(largest, float(np.abs(given - wanted).max() / np.ptp(wanted)))
        rms = max(rms, _rms(given, wanted))
    if not headroom * largest < LOOSEST:
        problem = f"the logits of generated images differ by {largest:.1e} of their range"
        advice = "nothing was written; with such an error a self-test would prove nothing"
        raise ParityError(problem, f"below {LOOSEST / headroom:.1e}", advice)
    least, least_rms = LEAST[contract.file.precision]
    return Tolerance(max(least, _rounded_up(headroom * largest)), max(least_rms, _rounded_up(headroom * rms)))


def _rms(given: Float, wanted: Float) -> float:
    """Root mean squared error, as a fraction of the range of the wanted logits."""
    return float(np.sqrt(np.mean((given.astype(np.float64) - wanted) ** 2)) / max(float(np.ptp(wanted)), 1e-30))


def _rounded_up(value: float) -> float:
    """Round up to one significant digit."""
    value = max(value, 1e-9)
    unit = 10.0 ** np.floor(np.log10(value))
    return float(f"{np.ceil(value / unit - 1e-9) * unit:.0e}")
