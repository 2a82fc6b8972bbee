"""The one builder of contracts: a test names what matters to it, and all else is a plain model of two classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from seg_runtime.model.contract import TASKS, ClassInfo, Contract, Intensity
from seg_toolkit.networks import Network

COLORS = ((0, 0, 0), (230, 60, 60), (60, 120, 230), (250, 200, 40))
TWO = (ClassInfo("background", (0, 0, 0)), ClassInfo("cell", (230, 159, 0)))


def named(count: int) -> tuple[ClassInfo, ...]:
    """So many classes, each with a name and, of the first four, a colour of its own."""
    return tuple(ClassInfo(f"class {i}", COLORS[i % len(COLORS)]) for i in range(count))


def contract(
    window: int | Sequence[int] = 204,
    output: int | Sequence[int] | None = None,
    classes: int | Sequence[ClassInfo] = TWO,
    **changes: Any,
) -> Contract:
    """A contract, by default of grey images, tiled by a U-Net of 204 -> 20 px with two classes.

    Args:
        window: px of an axis, or of each.
        output: as `window`; by default what the U-Net's margin of 92 px leaves.
        classes: as they are, or how many; a regression, which has `outputs`, has none.
        changes: other fields of the contract, by their names.
    """
    shape = (window,) * 2 if isinstance(window, int) else tuple(window)
    left = [side - 184 for side in shape] if output is None else output
    inner = (left,) * len(shape) if isinstance(left, int) else tuple(left)
    infos = named(classes) if isinstance(classes, int) else tuple(classes)
    task = "regression" if "outputs" in changes else changes.pop("task", "multiclass")
    plain: dict[str, Any] = {"channels": 1, "intensity": Intensity("scale")}
    infos = () if task == "regression" else infos
    activation, decision = TASKS[task]
    return Contract(
        shape, inner, classes=infos, task=task, activation=activation, decision=decision, **{**plain, **changes}
    )


def contract_of(
    network: Network, window: int | Sequence[int], classes: Sequence[ClassInfo] = (), **changes: Any
) -> Contract:
    """The contract of a network with windows of that shape; `changes` as `contract` takes them."""
    shape = (window,) * 2 if isinstance(window, int) else tuple(window)
    plain = {"channels": network.arguments["in_channels"], "stride": network.stride}
    infos = classes or network.arguments["classes"]
    return contract(shape, network.output_shape(shape), infos, **{**plain, **changes})


def changed(made: Contract, **changes: Any) -> Contract:
    """The same contract but for some fields."""
    return replace(made, **changes)
