"""TernausNet (Iglovikov and Shvets 2018, arXiv 1801.05746): a U-Net with VGG11 as contracting path, optionally with its weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from seg_runtime.support import ModelError, SegError
from torch import Tensor, nn

from .layers import Margin, he_normal, reach_px
from .network import Network

LEVELS = (1, 1, 2, 2, 2)
"""Number of convolutions before each pooling in VGG11 (Simonyan and Zisserman 2014, arXiv 1409.1556, table 1, column A)."""
ANSWER_PX = 320  # with the margin of 160 px, a window has 640 px
REACH_PX = reach_px((*LEVELS, 1), (1, 1, 1, 1, 1), kernel=3)


class _Widening(nn.Sequential):
    """A 3×3 convolution, then one that doubles the size, each with a ReLU: `(N, in, H, W)` -> `(N, out, 2H, 2W)`."""

    def __init__(self, channels: int, middle: int, width: int) -> None:
        """Build the block with `channels`, `middle` and `width` maps."""
        super().__init__(
            nn.Conv2d(channels, middle, 3, padding=1), nn.ReLU(inplace=True),
            nn.ConvTranspose2d(middle, width, 3, stride=2, padding=1, output_padding=1), nn.ReLU(inplace=True),
        )  # fmt: skip


class TernausNet(Network):
    """VGG11 with a decoder, 640 -> 320 px. It has 22,927,393 parameters with 3 channels and 1 class at full width.

    Args:
        in_channels: image channels.
        classes: output maps K.
        width: feature maps of the first level, 64 in VGG11. The topmost level of the decoder has half as many.
        margin: width in px of the ring that is discarded, a multiple of 32. None: 160, the reach of the receptive field.
            0: no ring, for whole images only.
    """

    kind = "ternaus"
    options = ("width", "margin")

    def __init__(self, in_channels: int = 3, classes: int = 2, width: int = 64, margin: int | None = None) -> None:
        """Build the network with He-normal weights and zero biases."""
        super().__init__()
        if min(in_channels, classes) < 1 or width < 2 or width % 2:
            raise SegError(
                f"TernausNet({in_channels=}, {classes=}, {width=}) is not possible",
                "positive sizes and an even width",
                "correct the arguments",
            )
        self.depth = len(LEVELS)
        self.margin = Margin.of(margin, REACH_PX, self.stride)
        self.margin_px = self.margin.px
        self.arguments = {"in_channels": in_channels, "classes": classes, "width": width, "margin": self.margin_px}
        self.default_input = (ANSWER_PX + 2 * self.margin_px,) * 2
        self.features = _vgg11(in_channels, width)
        half = width // 2
        self.bottom = _Widening(16 * half, 16 * half, 8 * half)
        self.up = nn.ModuleList([
            _Widening(24 * half, 16 * half, 8 * half), _Widening(24 * half, 16 * half, 4 * half),
            _Widening(12 * half, 8 * half, 2 * half), _Widening(6 * half, 4 * half, half),
        ])  # fmt: skip
        self.top = nn.Sequential(nn.Conv2d(3 * half, half, 3, padding=1), nn.ReLU(inplace=True))
        self.head = nn.Conv2d(half, classes, 1)
        self.apply(he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits `(N, K, H - 320, W - 320)` of images `(N, C, H, W)`."""
        carried = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                carried.append(x)
                # (N, 64, 640, 640) (N, 128, 320, 320) (N, 256, 160, 160) (N, 512, 80, 80) (N, 512, 40, 40)
            x = layer(x)
        x = self.bottom(x)  # (N, 512, 20, 20) -> (N, 256, 40, 40)
        for up in self.up:
            x = up(torch.cat([x, carried.pop()], dim=1))
            # (N, 256, 80, 80) (N, 128, 160, 160) (N, 64, 320, 320) (N, 32, 640, 640)
        x = self.top(torch.cat([x, carried.pop()], dim=1))  # (N, 32, 640, 640)
        return self.margin.dropped(self.head(x))  # (N, K, 320, 320)

    def encoder(self) -> Iterable[nn.Module]:
        """Return the layers of VGG11."""
        return [self.features]

    def output_side(self, side: int) -> int | None:
        """Output side in px: 32k -> 32k - 320."""
        return self.margin.exact_side(side)

    def check_tiling(self) -> None:
        """Raise SegError if tiles would show seams."""
        self.margin.check_tiling()

    def begin_from(self, state: Mapping[str, Tensor]) -> None:
        """Load the contracting path from a torchvision `vgg11`, without its classifier.

        In torchvision, the input is RGB, scaled to 0..1 and standardised. For images with one channel, the weights of the
        first layer are summed over RGB, which is equivalent to a grey image in three channels.

        Args:
            state: state dict with `features.0.weight` and so on.

        Raises:
            ModelError: if a layer is missing or has another shape.
            SegError: if the images have neither 1 nor 3 channels.
        """
        wanted = {f"features.{name}": value for name, value in self.features.state_dict().items()}
        channels = self.arguments["in_channels"]
        if channels not in (1, 3):
            problem = f"the weights of a vgg11 do not fit {channels} channels"
            raise SegError(problem, "1 or 3", "leave out --from, or change --channels")
        found = {}
        for name, value in wanted.items():
            if name not in state:
                problem = f"the weights lack {name}"
                raise ModelError(problem, "the weights of a torchvision vgg11", "check --from")
            given = state[name].float()
            if name == "features.0.weight" and channels == 1 and given.shape[1:2] == (3,):
                given = given.sum(dim=1, keepdim=True)
            if given.shape != value.shape:
                problem = f"the layer {name} has shape {tuple(given.shape)}"
                advice = "use the weights of a torchvision vgg11, and leave --width at 64"
                raise ModelError(problem, f"{tuple(value.shape)}", advice)
            found[name.removeprefix("features.")] = given
        self.features.load_state_dict(found)


def _vgg11(channels: int, width: int) -> nn.Sequential:
    """Build `features` of VGG11 in the order of torchvision, so that its weights have the same names."""
    layers: list[nn.Module] = []
    for level, convolutions in enumerate(LEVELS):
        wide = width << min(level, 3)
        for _ in range(convolutions):
            layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU(inplace=True)]
            channels = wide
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)
