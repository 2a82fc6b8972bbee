"""What the ground truth decides unless an option does: geometry, class weights, border weight, balance, outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from seg_runtime.model import GEOMETRIES, OutputInfo
from seg_runtime.support import DataError, SegError

from .statistics import CaseStatistics, TargetStatistics, class_shares


def choose_geometry(statistics: Sequence[CaseStatistics], output_px: int, option: str) -> tuple[str, str]:
    """The geometry, and why.

    Raises:
        DataError: an unknown one, or another than `tile` for volumes.
    """
    if option != "auto" and option not in GEOMETRIES:
        raise DataError(f"--geometry {option}", f"auto, {', '.join(GEOMETRIES)}", "choose one")
    if volumes := [s for s in statistics if len(s.shape) > 2]:
        if option in ("auto", "tile"):
            return "tile", "volumes keep their own resolution"
        raise DataError(f"--geometry {option} and the volume {volumes[0].name}", "tile", "leave --geometry out")
    if option != "auto":
        return option, "as asked"
    wide = float(np.mean([s.wide_share for s in statistics]))
    if wide > 0.5:
        return "fit", f"{wide:.0%} of the foreground lies in objects wider than the {output_px} px of an output window"
    return "tile", f"objects fit into an output window of {output_px} px; full resolution"


def choose_class_weights(statistics: Sequence[CaseStatistics], option: str) -> tuple[tuple[float, ...], str]:
    """Weight per class with a mean of 1 over the pixels, and why.

    Args:
        statistics: of the training images.
        option: `auto`, `none`, `balance` (1 / share) or `root` (1 / √share).
    """
    share = np.maximum(class_shares(statistics), 1e-4)
    rarest = float(share.min())
    method, reason = option, "as asked"
    if option == "auto":
        method = "root" if rarest < 0.02 else "none"
        reason = f"the rarest class has {rarest:.1%} of the pixels; the Dice term balances the rest"
    powers = {"none": 0.0, "root": -0.5, "balance": -1.0}
    if method not in powers:
        raise DataError(f"--class-weights {option}", "auto, none, root or balance", "choose one")
    weights = share ** powers[method]
    return tuple((weights / (weights * share).sum()).tolist()), f"{method}: {reason}"


def choose_border_weight(option: float | None, instances_only: bool) -> tuple[float, str]:
    """Height w0 of the weight map's border term, and why."""
    if option is not None:
        if option < 0:
            raise SegError(f"--border-weight {option}", "0 or more", "correct it")
        return option, "as asked"
    if instances_only:
        return 10.0, "there are only instances, so the gaps between them are what matters"
    return 0.0, "overlap with the masks is the aim; 10 would teach the gaps between cells, as the paper does"


def choose_balance(statistics: Sequence[CaseStatistics], option: float | None) -> tuple[float, str]:
    """Share of the training windows that are laid on a pixel of a class drawn evenly, and why; the others lie anywhere."""
    if option is not None:
        return option, "as asked"
    rarest = float(class_shares(statistics).min())
    if rarest < 0.4:
        return 0.5, f"so that the rarest class, {rarest:.1%} of the pixels, is met often"
    return 0.0, "no class is rare"


def scarce_classes(statistics: Sequence[CaseStatistics]) -> dict[int, list[int]]:
    """Classes that fewer than half of the images hold, with the places of those images."""
    found: dict[int, list[int]] = {}
    for index in range(len(statistics[0].pixels)):
        places = [place for place, case in enumerate(statistics) if case.pixels[index]]
        if 0 < len(places) < len(statistics) / 2:
            found[index] = places
    return found


def choose_outputs(
    targets: Sequence[TargetStatistics], names: Sequence[str], option: str | None = None
) -> tuple[OutputInfo, ...]:
    """The outputs as a contract has them: the network gives values of mean 0 and spread 1 over the training targets.

    Args:
        targets: of the training cases.
        names: that the reader gives.
        option: `NAME[=UNIT],…`, other names, and units; None for none.

    Raises:
        DataError: another number of names, one twice, or targets that are the same everywhere.
    """
    named = _named(names, option)
    counts = np.array([[e.count] for e in targets], np.float64)
    mean = (np.array([e.mean for e in targets]) * counts).sum(axis=0) / counts.sum()
    squares = np.array([e.std**2 + (e.mean - mean) ** 2 for e in targets])
    std = np.sqrt((squares * counts).sum(axis=0) / counts.sum())
    low, high = (end([getattr(e, part) for e in targets], axis=0) for end, part in ((np.min, "low"), (np.max, "high")))
    found: list[OutputInfo] = []
    for i, output in enumerate(named):
        if not low[i] < high[i]:
            came = f"the targets of {output.name} are {low[i]:g} everywhere"
            raise DataError(came, "values that differ", "leave this output out, or correct the targets")
        first, last = float(low[i]), float(high[i])
        found.append(replace(output, offset=float(mean[i]), scale=float(std[i]), low=first, high=last))
    return tuple(found)


def _named(names: Sequence[str], option: str | None) -> list[OutputInfo]:
    if option is None:
        return [OutputInfo(name) for name in names]
    found = [
        OutputInfo(name.strip(), unit=unit.strip()) for name, _, unit in (p.partition("=") for p in option.split(","))
    ]
    given = [o.name for o in found]
    if len(found) != len(names) or len(set(given)) < len(given) or not all(given):
        wanted = f"{len(names)} names, each once, for {', '.join(names)}"
        raise DataError(f"--outputs {option}", wanted, "write them as NAME=UNIT or NAME, with commas")
    return found


def describe_outputs(outputs: Sequence[OutputInfo]) -> str:
    """The outputs for a person, in one line."""
    return ", ".join(
        f"{o.name} {o.low:.4g} to {o.high:.4g}{f' {o.unit}' if o.unit else ''} (mean {o.offset:.4g}, spread {o.scale:.4g})"
        for o in outputs
    )
