"""U-Net with the image as input and a loss at every scale, for objects of very different sizes.

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
    """U-Net that gets the average-pooled image at each level and has a head at each level of the expanding path.

    The lower heads are used only in training; the exported file has the top head only.

    Args:
        in_channels: image channels.
        classes: output maps K.
        width: feature maps of the first level; each level doubles them.
        depth: number of poolings and heads.
        dropout: probability at the end of the contracting path.
        padding: see `UNet`.
        norm: see `UNet`.
        margin: see `UNet`.
    """

    kind = "multiscale"
    options = ("width", "depth", "dropout", "padding", "norm", "margin")

    def __init__(
        self, in_channels: int = 3, classes: int = 2, width: int = 64, depth: int = 4, dropout: float = 0.1,
        padding: str = "valid", norm: str = "none", margin: int | None = None,
    ) -> None:  # fmt: skip
        """Build the network with He-normal weights and zero biases."""
        super().__init__(in_channels, classes, width, depth, "crop", dropout, padding, norm, margin)
        del self.arguments["skip"]
        self.helpers = nn.ModuleList(nn.Conv2d(width << level, classes, 1) for level in reversed(range(1, depth)))
        self.helpers.apply(he_normal)

    def supervised(self, x: Tensor) -> list[Tensor]:
        """Compute logits `(N, K, *output_shape)` of every level, the output first and the coarsest last.

        Coarse levels are enlarged by nearest neighbour.
        """
        *others, top = self.expanding(*self.contracting(x))
        answer = self._logits(top)
        found = [answer]
        for level, (head, maps) in enumerate(zip(reversed(self.helpers), reversed(others), strict=True), 1):
            wide = F.interpolate(head(maps), scale_factor=float(1 << level), mode="nearest")
            found.append(centre(wide, *answer.shape[-2:]))
        return found

    def _into_next_level(self, pooled: Tensor, image: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Crop the image like the maps before pooling, so that both cover the same pixels."""
        image = F.avg_pool2d(centre(image, before.shape[-2], before.shape[-1]), 2)  # (N, C, 284, 284) …
        return torch.cat([pooled, image], dim=1), image  # (N, 64 + C, 284, 284) …

    def _image_channels(self, in_channels: int) -> int:
        return in_channels
