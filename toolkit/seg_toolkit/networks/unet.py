"""The U-Net of Ronneberger, Fischer and Brox 2015 (arXiv 1505.04597, figure 1), with valid or padded convolutions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import torch
from seg_runtime.support import SegError
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import ANSWER_PX, Margin, centre, he_normal, output_size, reach_px
from .network import Network

SKIPS = ("crop", "resize")
PADDINGS = {"valid": 0, "same": 1}
NORMS: dict[str, type[nn.Module] | None] = {"none": None, "batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d}


class _DoubleConv(nn.Sequential):
    """Two 3×3 convolutions, each with a ReLU: `(N, in, H, W)` -> `(N, out, H - 4, W - 4)`, or `(N, out, H, W)` with padding."""

    def __init__(self, channels: int, width: int, padding: str = "valid", norm: str = "none") -> None:
        """Build the block from `channels` to `width` maps, with a norm of `NORMS` after each convolution."""
        kind = NORMS[norm]
        layers: list[nn.Module] = []
        for source in (channels, width):
            layers.append(nn.Conv2d(source, width, 3, padding=PADDINGS[padding]))
            layers += [] if kind is None else [kind(width, affine=True)]
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class UNet(Network):
    """U-Net, 572 -> 388 px at depth 4. It has 31,031,810 parameters with 3 channels, 2 classes and width 64.

    Args:
        in_channels: image channels.
        classes: output maps K.
        width: feature maps of the first level; each level doubles them.
        depth: number of poolings.
        skip: what the skip connections carry. `crop`, as in the paper: the centre of the map before the pooling. `resize`, as
            in a Keras variant: the map after the pooling, resized bilinearly (half-pixel centres) to the size of the decoder.
        dropout: probability at the end of the contracting path.
        padding: `valid`, as in the paper, or `same`: zeros keep the size of every map, 576 -> 384 px at depth 4.
        norm: norm after each 3×3 convolution: `none`, as in the paper; `batch` (Ioffe and Szegedy 2015, arXiv 1502.03167);
            `instance` (Ulyanov et al. 2016, arXiv 1607.08022), which depends on the whole window and so cannot be tiled.
        margin: width in px of the ring that is discarded with padding, a multiple of the stride. None: the reach of the
            receptive field, 96 at depth 4. 0: no ring, for whole images only. Valid convolutions need no option.
    """

    kind = "unet"
    options: ClassVar[tuple[str, ...]] = ("width", "depth", "skip", "dropout", "padding", "norm", "margin")

    def __init__(
        self, in_channels: int = 3, classes: int = 2, width: int = 64, depth: int = 4, skip: str = "crop",
        dropout: float = 0.1, padding: str = "valid", norm: str = "none", margin: int | None = None,
    ) -> None:  # fmt: skip
        """Build the network with He-normal weights and zero biases."""
        super().__init__()
        for name, value, known in (("skip", skip, SKIPS), ("padding", padding, PADDINGS), ("norm", norm, NORMS)):
            if value not in known:
                raise SegError(f"{name} is {value!r}", " or ".join(known), "choose one of them")
        if min(in_channels, classes, width, depth) < 1 or not 0 <= dropout < 1:
            raise SegError(
                f"{type(self).__name__}({in_channels=}, {classes=}, {width=}, {depth=}, {dropout=}) is not possible",
                "positive sizes and dropout in [0, 1)",
                "correct the arguments",
            )
        self.depth, self.skip, self.padding, self.norm = depth, skip, padding, norm
        self.margin = self._margin(margin)
        self.margin_px = self.margin.px
        if padding == "same":
            self.default_input = (ANSWER_PX + 2 * self.margin_px,) * 2
        self.arguments = {
            "in_channels": in_channels, "classes": classes, "width": width, "depth": depth, "skip": skip,
            "dropout": dropout, "padding": padding, "norm": norm, "margin": self.margin_px if padding == "same" else None,
        }  # fmt: skip
        widths = [width << level for level in range(depth + 1)]
        sources = [in_channels, *(w + self._image_channels(in_channels) for w in widths[:-1])]
        *down, bottom = (_DoubleConv(a, b, padding, norm) for a, b in zip(sources, widths, strict=True))
        self.down, self.bottom = nn.ModuleList(down), bottom
        self.dropout = nn.Dropout(dropout)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in reversed(widths[:-1]))
        self.merge = nn.ModuleList(_DoubleConv(2 * w, w, padding, norm) for w in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, classes, 1)
        self.apply(he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits `(N, K, H - 184, W - 184)` of images `(N, C, H, W)` at depth 4; 192 instead of 184 with padding."""
        return self._logits(self.expanding(*self.contracting(x))[-1])  # (N, K, 388, 388)

    def contracting(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Compute the maps of the skip connections, from the top, and the map of the bottom."""
        carried, image = [], x
        for level in self.down:
            before = level(x)  # (N, 64, 568, 568) (N, 128, 280, 280) (N, 256, 136, 136) (N, 512, 64, 64)
            x = F.max_pool2d(before, 2)  # (N, 64, 284, 284) (N, 128, 140, 140) (N, 256, 68, 68) (N, 512, 32, 32)
            carried.append(before if self.skip == "crop" else x)
            x, image = self._into_next_level(x, image, before)
        return carried, self.dropout(self.bottom(x))  # (N, 1024, 28, 28)

    def expanding(self, carried: list[Tensor], x: Tensor) -> list[Tensor]:
        """Compute the maps of the expanding path, the top one last."""
        maps: list[Tensor] = []
        for up, merge, wide in zip(self.up, self.merge, reversed(carried), strict=True):
            coarse, x = x, up(x)  # (N, 512, 56, 56) (N, 256, 104, 104) (N, 128, 200, 200) (N, 64, 392, 392)
            skip = self._gated(self._sized_skip(wide, x), coarse, len(maps))
            x = merge(torch.cat([x, skip], dim=1))
            maps.append(x)  # (N, 512, 52, 52) (N, 256, 100, 100) (N, 128, 196, 196) (N, 64, 388, 388)
        return maps

    def encoder(self) -> Iterable[nn.Module]:
        """Return the levels before each pooling, and the bottom."""
        return [self.down, self.bottom]

    def layers_in_order(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield layers from the top of the contracting path to the bottom, then of the expanding path, then the head."""
        if self.kind != UNet.kind:  # subclasses have layers that this order lacks
            yield from super().layers_in_order()
        blocks = [f"down.{level}" for level in range(self.depth)] + ["bottom"]
        for level in range(self.depth):
            blocks += [f"up.{level}", f"merge.{level}"]
        for block in (*blocks, "head"):
            for name, layer in self.get_submodule(block).named_modules(prefix=block):
                if next(layer.parameters(recurse=False), None) is not None:
                    yield name, layer

    def output_side(self, side: int) -> int | None:
        """Output side in px at depth 4: 16k + 60 -> 16k - 124, or 16k -> 16k - 192 with padding."""
        if self.padding == "same":
            return self.margin.exact_side(side)
        return output_size(side, self.depth)

    def check_tiling(self) -> None:
        """Raise SegError if tiles would show seams: the margin is too small, or the norm depends on the window."""
        if self.norm == "instance":
            advice = "use --norm batch, or use --geometry fit to put the whole image into one window"
            problem = "the norm instance depends on the window, which geometry tile does not allow"
            raise SegError(problem, "", advice)
        if self.padding == "same":
            self.margin.check_tiling()

    def _margin(self, option: int | None) -> Margin:
        """Make the ring that is discarded; valid convolutions need none."""
        if self.padding == "same":
            return Margin.of(option, reach_px((2,) * (self.depth + 1), (2,) * self.depth), self.stride)
        if option is not None:
            problem = f"the margin is {option} with padding valid"
            raise SegError(problem, "padding same", "leave out --margin, or use --padding same")
        return Margin(0, 0, self.stride)

    def _image_channels(self, in_channels: int) -> int:
        """Number of channels that are joined to the map of each level below the first."""
        return 0

    def _into_next_level(self, pooled: Tensor, image: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Return the input of the next level and the image at its scale. Networks that use the image again override this.

        Args:
            pooled: map of the level above, after the pooling.
            image: image at the scale of that level.
            before: map of that level before the pooling.
        """
        return pooled, image

    def _gated(self, skip: Tensor, coarse: Tensor, place: int) -> Tensor:
        """Return the map of a skip connection that is joined. Networks with gates override this.

        Args:
            skip: `(N, C, 2h, 2w)`.
            coarse: map of the next coarser level, `(N, G, h, w)`.
            place: index of the level, 0 for the coarsest.
        """
        return skip

    def _logits(self, x: Tensor) -> Tensor:
        """Compute the logits of the output window from the top map."""
        logits: Tensor = self.head(x)
        return self.margin.dropped(logits)

    def _sized_skip(self, skip: Tensor, like: Tensor) -> Tensor:
        height, width = like.shape[-2:]
        if self.skip == "resize":
            return F.interpolate(skip, size=(height, width), mode="bilinear", align_corners=False)
        return centre(skip, height, width)
