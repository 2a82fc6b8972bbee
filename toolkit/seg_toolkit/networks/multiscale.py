"""A U-Net that sees the image at every scale and is judged at every scale, for objects of very different sizes.

Multi-scale input and side outputs as in M-Net (Fu et al. 2018, arXiv 1801.00926); deep supervision after Lee et al. 2015
(arXiv 1409.5185).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import centre, he_normal
from .unet import UNet


class MultiScaleUNet(UNet):
    """The U-Net with the average-pooled image beside the map of each level, and a head at each level of the expanding path.

    The heads below the top help in training; the exported file has the top one only.

    Args:
        in_channels: image channels.
        classes: output maps K.
        width: maps of the first level; each level doubles them.
        depth: number of poolings, and of heads.
        dropout: probability at the end of the contracting path.
        padding: see `UNet`.
        norm: see `UNet`.
        margin: see `UNet`.
    """

    kind = "multiscale"
    options = ("width", "depth", "dropout", "padding", "norm", "margin")

    def __init__(
        self, in_channels: int = 3, classes: int = 2, width: int = 64, depth: int = 4, dropout: float = 0.5,
        padding: str = "valid", norm: str = "none", margin: int | None = None,
    ) -> None:  # fmt: skip
        """Build the network with He-normal weights and zero biases."""
        super().__init__(in_channels, classes, width, depth, "crop", dropout, padding, norm, margin)
        del self.arguments["skip"]
        self.helpers = nn.ModuleList(nn.Conv2d(width << level, classes, 1) for level in reversed(range(1, depth)))
        self.helpers.apply(he_normal)

    def supervised(self, x: Tensor) -> list[Tensor]:
        """Logits `(N, K, *output_shape)` of every level, the answer first and the coarsest last, laid out by the nearest pixel."""
        *others, top = self.expanding(*self.contracting(x))
        answer = self._answer(top)
        found = [answer]
        for level, (head, maps) in enumerate(zip(reversed(self.helpers), reversed(others), strict=True), 1):
            wide = F.interpolate(head(maps), scale_factor=float(1 << level), mode="nearest")
            found.append(centre(wide, *answer.shape[-2:]))
        return found

    def _entering(self, pooled: Tensor, image: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """The image loses the same ring as the maps before it is pooled, so that both lie on the same pixels."""
        image = F.avg_pool2d(centre(image, before.shape[-2], before.shape[-1]), 2)  # (N, C, 284, 284) …
        return torch.cat([pooled, image], dim=1), image  # (N, 64 + C, 284, 284) …

    def _again(self, in_channels: int) -> int:
        return in_channels
