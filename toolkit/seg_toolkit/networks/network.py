"""What every network of the family offers to training, to export and to the checkpoint that rebuilds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from seg_runtime.support import SegError
from torch import Tensor, nn


class Network(nn.Module):
    """A network from one window of fixed size to the logits of its centre.

    Attributes:
        kind: its name for `--network` and in checkpoints.
        has_attention: whether it says where it looks, see `attention`.
        options: its arguments besides `in_channels` and `classes` that options of `seg-train` give, by their names.
        axes: spatial axes, 2 or 3.
        default_input: the window that it is trained with unless `--input-size` says otherwise.
        arguments: what rebuilds it, all of them plain values.
        depth: poolings.
    """

    kind: ClassVar[str]
    has_attention: ClassVar[bool] = False
    options: ClassVar[tuple[str, ...]] = ()
    axes: ClassVar[int] = 2
    default_input: tuple[int, ...] = (572, 572)
    arguments: dict[str, Any]
    depth: int

    @property
    def described(self) -> dict[str, Any]:
        """Its kind and its arguments, of which `build` makes it again."""
        return {"kind": self.kind, **self.arguments}

    @property
    def stride(self) -> int:
        """Shifts by a multiple of so many px move the answer and change nothing else."""
        return 1 << self.depth

    def output_side(self, side: int) -> int | None:
        """Side in px of the answer to a window of `side` px, None where a pooling would meet an odd size."""
        raise NotImplementedError

    def window(self, option: str) -> tuple[int, ...]:
        """The input shape of `--input-size`: one number for all axes, or one for each with commas.

        Raises:
            SegError: no numbers.
        """
        try:
            sides = tuple(int(side) for side in option.split(","))
        except ValueError as error:
            raise SegError(f"--input-size {option}", "a number, or one for each axis", "572, or 116,132,132") from error
        return sides * self.axes if len(sides) == 1 else sides

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the output, the centre of a window.

        Args:
            input_shape: of a window, one number for each of `axes`.

        Raises:
            SegError: of another rank, or a size that some pooling cannot halve; names the nearest that are valid.
        """
        if len(input_shape) != self.axes:
            wanted = f"{self.axes} numbers" if self.axes > 2 else "one number, or two"
            raise SegError(f"input size {_listed(input_shape)}", f"{wanted} for the network {self.kind}", "correct it")
        return tuple(self._output_side(side) for side in input_shape)

    def check_tiling(self) -> None:
        """Raise SegError where windows of this network would not meet without seams; valid convolutions always do."""

    def begin_from(self, state: Mapping[str, Tensor]) -> None:
        """Take weights that were trained on something else, by their names in `state`.

        Raises:
            SegError: this kind of network cannot take any, or the weights do not fit.
        """
        raise SegError(f"--pretrained for the network {self.kind}", "--network ternaus", "leave it out")

    def layers_in_order(self) -> Iterator[tuple[str, nn.Module]]:
        """Its layers that hold tensors, by name, in the order in which an image meets them, as weights made elsewhere are read.

        Raises:
            SegError: this kind of network has no order that others share.
        """
        raise SegError(f"import for the network {self.kind}", "the network unet", "leave --network out")

    def supervised(self, x: Tensor) -> list[Tensor]:
        """Logits `(N, K, *output_shape)` for the loss of a training: the answer first, then those that only help to train."""
        return [self(x)]

    def attention(self, x: Tensor) -> Tensor:
        """Where the network looks: `(N, maps, *output_shape)` float, 0..1, the coarsest map first; only of one that `has_attention`."""
        raise NotImplementedError

    def _output_side(self, side: int) -> int:
        out = self.output_side(side)
        if out is None:
            below = next((n for n in range(side, 0, -1) if self.output_side(n)), None)
            reach = max(side, 1) + (64 << self.depth)
            above = next((n for n in range(max(side, 1), reach) if self.output_side(n)), None)
            near = " or ".join(str(n) for n in (below, above) if n)
            raise SegError(
                f"input size {side}",
                f"{self.stride}k + const so that every pooling meets an even size",
                f"the nearest valid: {near}",
            )
        return out


def _listed(shape: tuple[int, ...]) -> str:
    return ",".join(map(str, shape))
