"""The outputs of a regression: their names, and how their values in the data's units become what a network gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from seg_runtime.model.answer import OutputInfo
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import DataError


@dataclass(frozen=True)
class Extent:
    """What the targets of one case look like: `(K,)` float64 each, in their own units."""

    count: int
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]


def extent(targets: Array) -> Extent:
    """Of targets `(*spatial, K)`."""
    flat = targets.reshape(-1, targets.shape[-1])
    low, high = (np.asarray(end(axis=0), np.float64) for end in (flat.min, flat.max))
    return Extent(len(flat), low, high, flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64))


def choose_outputs(extents: Sequence[Extent], names: Sequence[str], asked: str | None = None) -> tuple[OutputInfo, ...]:
    """The outputs as a contract has them: the network gives values of mean 0 and spread 1 over the training targets.

    Args:
        extents: of the training cases.
        names: that the reader gives.
        asked: `NAME[=UNIT],…`, other names, and units; None for none.

    Raises:
        DataError: another number of names, one twice, or targets that are the same everywhere.
    """
    named = _named(names, asked)
    counts = np.array([[e.count] for e in extents], np.float64)
    mean = (np.array([e.mean for e in extents]) * counts).sum(axis=0) / counts.sum()
    squares = np.array([e.std**2 + (e.mean - mean) ** 2 for e in extents])
    std = np.sqrt((squares * counts).sum(axis=0) / counts.sum())
    low, high = (end([getattr(e, part) for e in extents], axis=0) for end, part in ((np.min, "low"), (np.max, "high")))
    found: list[OutputInfo] = []
    for i, output in enumerate(named):
        if not low[i] < high[i]:
            came = f"the targets of {output.name} are {low[i]:g} everywhere"
            raise DataError(came, "values that differ", "leave this output out, or correct the targets")
        first, last = float(low[i]), float(high[i])
        found.append(replace(output, offset=float(mean[i]), scale=float(std[i]), low=first, high=last))
    return tuple(found)


def _named(names: Sequence[str], asked: str | None) -> list[OutputInfo]:
    if asked is None:
        return [OutputInfo(name) for name in names]
    found = [
        OutputInfo(name.strip(), unit=unit.strip()) for name, _, unit in (p.partition("=") for p in asked.split(","))
    ]
    given = [o.name for o in found]
    if len(found) != len(names) or len(set(given)) < len(given) or not all(given):
        wanted = f"{len(names)} names, each once, for {', '.join(names)}"
        raise DataError(f"--outputs {asked}", wanted, "write them as NAME=UNIT or NAME, with commas")
    return found


def described(outputs: Sequence[OutputInfo]) -> str:
    """A line for a person."""
    return ", ".join(
        f"{o.name} {o.low:.4g} to {o.high:.4g}{f' {o.unit}' if o.unit else ''} (mean {o.offset:.4g}, spread {o.scale:.4g})"
        for o in outputs
    )
