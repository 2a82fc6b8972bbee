"""MAE, RMSE, PSNR and SSIM of values, per output.

PSNR and SSIM are scikit-image's: maintained, on numpy arrays of any range, and what papers of microscopy and remote sensing quote.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from seg_runtime.model.answer import OutputInfo
from seg_runtime.pipeline import Float
from seg_runtime.support.extras import require_extra

METRICS = ("mae", "rmse", "psnr", "ssim")
BEST_DB = 120.0
"""PSNR of what differs by a millionth of the range or less, which is as much as float32 tells apart."""
WINDOW_PX = 11  # of SSIM, in the paper of Wang et al. 2004


def scores(truth: Float, answer: Float, outputs: Sequence[OutputInfo]) -> dict[str, NDArray[np.float64]]:
    """Each of `METRICS` for each output.

    Args:
        truth: `(K, *spatial)` in the outputs' units.
        answer: as many.
        outputs: K; their ranges are the peak of PSNR and the range of SSIM.

    Returns:
        `(K,)` float64 each: MAE and RMSE in the output's unit, PSNR in dB up to `BEST_DB`, SSIM up to 1 with the Gaussian window
        of its paper, NaN where the image is smaller than that.
    """
    rows = [_scores(t, a, o.high - o.low) for t, a, o in zip(truth, answer, outputs, strict=True)]
    return {name: np.array(values) for name, values in zip(METRICS, zip(*rows, strict=True), strict=True)}


def _scores(truth: Float, answer: Float, extent: float) -> tuple[float, float, float, float]:
    require_extra("train", "skimage")
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    wide, other = truth.astype(np.float64), answer.astype(np.float64)
    errors = other - wide
    mae, rmse = float(np.abs(errors).mean()), float(np.sqrt(np.square(errors).mean()))
    if not np.isfinite(rmse):
        return mae, rmse, -np.inf, np.nan
    with np.errstate(divide="ignore"):  # of equal values
        ratio = float(peak_signal_noise_ratio(wide, other, data_range=extent))
    similar = np.nan
    if min(truth.shape) >= WINDOW_PX:
        similar = float(structural_similarity(
            wide, other, data_range=extent, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        ))  # fmt: skip
    return mae, rmse, min(BEST_DB, ratio), similar
