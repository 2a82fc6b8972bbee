"""The self-test: compare this device's results for the golden samples of a file with those of torch at export."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..answers import answer_of, unmatched
from ..model import PROBE_PACE, Contract, Sample
from ..pipeline import Array, Float, fitted
from ..support import SelfTestError, table

if TYPE_CHECKING:
    from ..engine import Session

Labels = NDArray[np.uint8]


@dataclass
class SelfTest:
    """Agreement of a device with the torch model over all golden samples."""

    limit: float
    """Largest allowed error, as a share of the logit range of a sample."""
    samples: int = 0
    logits: int = 0
    """Number of logits compared."""
    pixels: int = 0
    """Number of pixels whose labels were compared; 0 for a regression."""
    max_abs_error: float = 0.0
    max_error_of_range: float = 0.0
    not_finite: int = 0
    flipped: int = 0
    allowed: int = 0
    """Number of flipped pixels where the correct label is undecided within the limit."""
    max_flip_margin: float | None = None
    """Largest margin on this device, in logits, at a flipped pixel; None if there are no flips or no logits."""
    ms: list[float] = field(default_factory=list)
    rms_limit: float | None = None
    """Largest allowed RMS error, as a share of the logit range; None if only `limit` applies."""
    max_rms_of_range: float = 0.0
    objects: int = 0
    """Number of objects in the samples; 0 if the model predicts none."""
    unmatched: int = 0
    """Number of objects of the samples or of this device without a partner."""

    def add_objects(self, wanted: NDArray[np.int32], given: Array) -> None:
        """Compare the objects for one sample, ids `(*spatial)`."""
        self.objects += int(wanted.max(initial=0))
        self.unmatched += unmatched(wanted, given)

    def add(self, sample: Sample, labels: Labels | None, logits: Float, contract: Contract) -> None:
        """Compare the results for one sample."""
        self.samples += 1
        self.not_finite += int((~np.isfinite(logits)).sum())
        whole = logits.shape[1:] == contract.geometry.output_shape
        classes, *places = np.unravel_index(sample.positions, (contract.answer.maps, *contract.geometry.output_shape))
        pace = 1 if whole else PROBE_PACE
        given, wanted = logits[(classes, *(place // pace for place in places))], sample.logits
        if whole:
            given, wanted = np.append(given, [logits.min(), logits.max()]), np.append(wanted, [sample.low, sample.high])
        errors = given.astype(np.float64) - wanted
        error = float(np.abs(errors).max())
        self.logits += len(wanted)
        self.max_abs_error = max(self.max_abs_error, error)
        self.max_error_of_range = max(self.max_error_of_range, error / sample.logit_range)
        rms = float(np.sqrt(np.mean(errors**2)))
        self.max_rms_of_range = max(self.max_rms_of_range, rms / sample.logit_range)
        if labels is not None and sample.labels is not None and sample.close is not None:
            gaps = answer_of(contract).margins(logits) if whole else logits[0]
            self._add_flips(labels != sample.labels, sample.close, gaps)

    def _add_flips(self, flips: NDArray[np.bool_], close: NDArray[np.bool_], gaps: Float) -> None:
        self.pixels += flips.size
        self.flipped += int(flips.sum())
        self.allowed += int((flips & close).sum())
        if flips.any() and flips.shape == gaps.shape:  # an image that is resized for the network has no margins
            self.max_flip_margin = max(self.max_flip_margin or 0.0, float(gaps[flips].max()))

    def failures(self) -> list[str]:
        """Return what failed, as text; empty if the device passes."""
        found = []
        if not self.samples:
            found.append("no samples were compared")
        if self.not_finite:
            found.append(f"{self.not_finite} logits are NaN or infinite")
        elif not self.max_error_of_range <= self.limit:
            error = f"the largest error is {self.max_error_of_range:.2e} of the logit range"
            found.append(f"{error}, more than the limit of {self.limit:.0e}")
        if self.rms_limit is not None and not self.not_finite and not self.max_rms_of_range <= self.rms_limit:
            error = f"the RMS error is {self.max_rms_of_range:.2e} of the logit range"
            found.append(f"{error}, more than the limit of {self.rms_limit:.0e}")
        if wrong := self.flipped - self.allowed:
            found.append(f"{wrong} of {self.pixels} px have a different label although the correct one is certain")
        if self.unmatched and not self.flipped:
            found.append(f"{self.unmatched} objects have no partner although every pixel is the same")
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return all figures for JSON, which has no NaN."""
        finite = not self.not_finite
        return {
            "passed": not self.failures(),
            "failures": self.failures(),
            "samples": self.samples,
            "logits_compared": self.logits,
            "max_abs_error": self.max_abs_error if finite else None,
            "max_error_of_range": self.max_error_of_range if finite else None,
            "limit": self.limit,
            "rms_error_of_range": self.max_rms_of_range if finite else None,
            "rms_limit": self.rms_limit,
            "pixels": self.pixels,
            "flipped": self.flipped,
            "flipped_allowed": self.allowed,
            **({"objects": self.objects, "objects_unmatched": self.unmatched} if self.objects else {}),
            "max_flip_margin": self.max_flip_margin if finite else None,
            "ms": [round(v, 3) for v in self.ms],
        }


def run_self_test(session: Session) -> dict[str, Any]:
    """Run the golden samples of a session, and free them.

    Returns:
        The report, ready for JSON.

    Raises:
        SelfTestError: the results differ from those of torch at export; contains the report.
    """
    assert session.golden is not None  # it was opened with `self_test`
    result = SelfTest(session.golden.limit, rms_limit=session.golden.rms_limit)
    for sample in session.golden.samples:
        image, start = sample.pixels.image(), time.perf_counter()
        labels, logits, objects = _answer(session, image)
        result.ms.append((time.perf_counter() - start) * 1000)
        result.add(sample, labels, logits, session.contract)
        if objects is not None and sample.objects is not None:
            result.add_objects(sample.objects, objects)
    session.golden = None  # frees about 1 MB
    facts = session.facts()
    report = {
        "self_test": result.as_dict(),
        **facts,
        "provider": {**facts["provider"], "reason": session.provider_reason},
        "placement": session.placement,
    }
    if found := result.failures():
        problem = f"{session.provider.name} does not reproduce the golden samples ({'; '.join(found)})"
        advice = "do not allow TF32, update the driver, or use --provider cpu"
        raise SelfTestError(problem, "the results stored at export", advice, report)
    return report


def _answer(session: Session, image: Array) -> tuple[Labels | None, Float, Array | None]:
    """Return the labels `(H, W)` of an image `(H, W, C)`, the logits `(K, *output_shape)` of its one window, and its objects.

    The labels are what is decided for each pixel, None for a regression. The objects are None if the model predicts none.
    Both pass through the same pipeline as every image. For a host-ready file, the logits are its probe: every
    `PROBE_PACE`-th logit along each axis.
    """
    contract = session.contract
    answer, fit = answer_of(contract), fitted(image, contract)
    if contract.file.whole_images:
        stitched, logits = session.run_probe(fit)
    else:
        seen: list[Float] = []

        def watched(window: Float) -> Float:
            seen.append(session.run(window)[0])
            return seen[-1][None]

        stitched = answer.stitched(fit, watched)
        [logits] = seen
    labels = answer.decided(stitched) if contract.answer.decided else None
    objects = answer.part(answer.whole(stitched), "objects") if contract.answer.separated else None
    return labels, logits, objects


def self_test_table(report: Mapping[str, Any]) -> str:
    """Format the report of `run_self_test` as a table."""
    test, provider, placement = report["self_test"], report["provider"], report["placement"]

    def number(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.3e}"

    tf32 = ", TF32 allowed" if provider["fast_math"] else ""
    rows = [
        ("provider", f"{provider['used']} (requested: {provider['asked']}{tf32})"),
        ("", provider["reason"]),
        ("golden samples", f"{test['samples']} ({test['logits_compared']} logits)"),
        ("largest error", number(test["max_abs_error"])),
        ("relative to range", f"{number(test['max_error_of_range'])}  (limit {test['limit']:.0e})"),
    ]  # fmt: skip
    if test["rms_limit"]:
        rows.append(
            ("RMS, relative to range", f"{number(test['rms_error_of_range'])}  (limit {test['rms_limit']:.0e})")
        )
    if test["pixels"]:
        undecided = f"{test['flipped_allowed']} of them where the correct label is undecided"
        rows.append(("flipped px", f"{test['flipped']} of {test['pixels']}, {undecided}"))
        rows.append(("largest margin at a flip", number(test["max_flip_margin"]) if test["flipped"] else "no flips"))
    if test.get("objects"):
        rows.append(("objects", f"{test['objects']}, {test['objects_unmatched']} of both without a partner"))
    nodes = ", ".join(f"{count} on {name}" for name, count in (placement or {}).items())
    rows += [
        ("ms per sample", ", ".join(f"{v:.1f}" for v in test["ms"])),
        ("nodes", nodes or "not reported by this ONNX Runtime"),
        ("versions", ", ".join(f"{name} {version}" for name, version in report["versions"].items())),
        ("model", f"{report['model']['sha256']} ({report['model']['precision']})"),
        ("self-test", "; ".join(test["failures"]) or "passed"),
    ]
    return table([row for row in rows if row[1]])
