"""The one builder of contracts: a test names what matters to it, and all else is a plain model of two classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from seg_runtime.model import (
    ChannelFile,
    ClassInfo,
    Contract,
    Geometry,
    HostReadyFile,
    Input,
    Intensity,
    LabelSpec,
    ValueSpec,
    WindowFile,
)

if TYPE_CHECKING:
    from seg_toolkit.networks import Network  # imports torch

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
        classes: as they are, or how many; not looked at where there are `outputs`.
        changes: fields of the contract and of its parts, by their names; see `changed`.
    """
    shape = (window,) * 2 if isinstance(window, int) else tuple(window)
    left = [side - 184 for side in shape] if output is None else output
    inner = (left,) * len(shape) if isinstance(left, int) else tuple(left)
    infos = named(classes) if isinstance(classes, int) else tuple(classes)
    answer = ValueSpec(changes.pop("outputs")) if "outputs" in changes else LabelSpec(infos)
    how = Geometry(shape, inner, **{k: changes.pop(k) for k in ("method", "stride") if k in changes})
    what = {k: changes.pop(k) for k in ("channels", "intensity", "channel_files", "voxels", "pixels") if k in changes}
    made = Contract(Input(**{"channels": 1, "intensity": Intensity("scale"), **what}), how, answer)
    return changed(made, **changes)


def contract_of(
    network: Network, window: int | Sequence[int], classes: Sequence[ClassInfo] = (), **changes: Any
) -> Contract:
    """The contract of a network with windows of that shape; `changes` as `contract` takes them."""
    shape = (window,) * 2 if isinstance(window, int) else tuple(window)
    plain = {"channels": network.arguments["in_channels"], "stride": network.stride}
    infos = classes or network.arguments["classes"]
    return contract(shape, network.output_shape(shape), infos, **{**plain, **changes})


def changed(made: Contract, **changes: Any) -> Contract:
    """The same contract but for some fields, of the contract itself or of any of its parts.

    `dtype` makes it host-ready; `method` is that of the geometry.
    """
    if "dtype" in changes and not isinstance(made.file, HostReadyFile):
        made = replace(made, file=HostReadyFile(made.file.precision))
    for part in ("input", "geometry", "answer", "file"):
        known = {f.name for f in fields(getattr(made, part))}
        if mine := {name: changes.pop(name) for name in list(changes) if name in known}:
            changes[part] = replace(getattr(made, part), **mine)
    return replace(made, **changes)


def channel_files(*endings: str) -> tuple[ChannelFile, ...]:
    """Channels that are files; `_red*4` is one that is enlarged four times."""
    parts = (ending.partition("*") for ending in endings)
    return tuple(ChannelFile(ending, int(factor or 1)) for ending, _, factor in parts)


__all__ = ["TWO", "WindowFile", "changed", "channel_files", "contract", "contract_of", "named"]
