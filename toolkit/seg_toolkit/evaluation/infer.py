"""A torch model as the runtime calls one, to answer through the runtime's own corridor."""

from __future__ import annotations

import torch
from seg_runtime.pipeline import Float
from seg_runtime.pipeline.windows import Infer
from torch import nn

from ..networks.network import LAYOUT


def torch_infer(model: nn.Module, device: torch.device) -> Infer:
    """The model as the runtime calls one: `(1, C, *input_shape)` float32 -> logits `(1, K, *output_shape)` float32."""

    @torch.inference_mode()
    def infer(window: Float) -> Float:
        x = torch.from_numpy(window).to(device, memory_format=LAYOUT[window.ndim - 2])
        answer: Float = model(x).float().cpu().numpy()
        return answer

    return infer
