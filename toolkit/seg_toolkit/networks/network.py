"""Base class of the networks: the interface for training, export and checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from seg_runtime.support import OptionsError, SegError
from torch import Tensor, nn


class Network(nn.Module):
    """A network that maps a window of fixed size to the logits of its centre.

    Attributes:
        kind: name for `--network` and in checkpoints.
        has_attention: whether the network has attention gates, see `attention`.
        options: names of the arguments that options of `seg-train` set, without `in_channels` and `classes`.
        only_in_training: those arguments that act in training alone, so that they can change while the weights stay.
        axes: number of spatial axes, 2 or 3.
        default_input: shape of a training window, unless `--input-size` is given.
        arguments: arguments that rebuild the network, as plain values.
        depth: number of poolings.
    """

    kind: ClassVar[str]
    has_attention: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ()
    only_in_training: ClassVar[tuple[str, ...]] = ("dropout",)
    axes: ClassVar[int] = 2
    default_input: tuple[int, ...] = (572, 572)
    arguments: dict[str, Any]
    depth: int

    @property
    def described(self) -> dict[str, Any]:
        """Kind and arguments, from which `build` rebuilds the network."""
        return {"kind": self.kind, **self.arguments}

    @property
    def stride(self) -> int:
        """Number of px whose multiples shift the output together with the input, without any other change."""
        return 1 << self.depth

    def output_side(self, side: int) -> int | None:
        """Output side in px of a window of `side` px; None if a pooling would get an odd size."""
        raise NotImplementedError

    def window(self, option: str) -> tuple[int, ...]:
        """Parse `--input-size`: one number for all axes, or one for each, separated by commas.

        Raises:
            OptionsError: if the option is not a list of numbers.
        """
        try:
            sides = tuple(int(side) for side in option.split(","))
        except ValueError as error:
            expected = "one number, or one for each axis"
            raise OptionsError(f"--input-size is {option}", expected, "write it like 572 or 116,132,132") from error
        return sides * self.axes if len(sides) == 1 else sides

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Compute the shape of the output, the centre of a window.

        Args:
            input_shape: shape of a window, one number for each of `axes`.

        Raises:
            OptionsError: if the rank is wrong, or a pooling would get an odd size; the message names the nearest valid sizes.
        """
        if len(input_shape) != self.axes:
            expected = f"{self.axes} numbers" if self.axes > 2 else "one or two numbers"
            problem = f"the input size is {_listed(input_shape)}"
            raise OptionsError(problem, f"{expected} for the network {self.kind}", "correct --input-size")
        return tuple(self._output_side(side) for side in input_shape)

    def check_tiling(self) -> None:
        """Raise SegError if tiles of this network would show seams. Networks with valid convolutions never do."""

    def encoder(self) -> Iterable[nn.Module]:
        """Return the parts of the contracting path, for `--freeze encoder`.

        Raises:
            SegError: if this kind of network has none.
        """
        raise SegError(f"the network {self.kind} has no encoder that can be frozen", "", "leave out --freeze")

    def begin_from(self, state: Mapping[str, Tensor]) -> None:
        """Load weights of another program by their names in `state`.

        Raises:
            SegError: if no other program has weights for this kind of network, or the weights do not fit.
        """
        problem = f"the network {self.kind} cannot start from the weights of another program"
        raise SegError(problem, "", "import them first: seg-edge import FILE DATA -o parent.pt, then --from parent.pt")

    def layers_in_order(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield the layers with tensors by name, in the order of the forward pass, for importing weights.

        Raises:
            SegError: if this kind of network has no order in common with other programs.
        """
        problem = f"weights cannot be imported into the network {self.kind}"
        raise SegError(problem, "the network unet", "leave out --network")

    def supervised(self, x: Tensor) -> list[Tensor]:
        """Compute logits `(N, K, *output_shape)` for the loss: the output first, then those used only in training."""
        return [self(x)]

    def attention(self, x: Tensor) -> Tensor:
        """Compute attention `(N, maps, *output_shape)` float, 0..1, the coarsest map first. Only if `has_attention`."""
        raise NotImplementedError

    def _output_side(self, side: int) -> int:
        out = self.output_side(side)
        if out is None:
            below = next((n for n in range(side, 0, -1) if self.output_side(n)), None)
            reach = max(side, 1) + (64 << self.depth)
            above = next((n for n in range(max(side, 1), reach) if self.output_side(n)), None)
            near = " or ".join(str(n) for n in (below, above) if n)
            raise OptionsError(
                f"the input size {side} gives a pooling an odd size",
                "",
                f"use {near}; valid sizes are {self.stride} px apart",
            )
        return out


def _listed(shape: tuple[int, ...]) -> str:
    return ",".join(map(str, shape))
