"""Devices, and networks in the form in which the runtime calls a model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from seg_runtime.support import SegError
from torch import nn

LAYOUT = {2: torch.channels_last, 3: torch.channels_last_3d}
"""Memory format in which convolutions are fastest in PyTorch, by number of spatial axes."""

Infer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def pick_device(name: str) -> torch.device:
    """Select a device by name. `auto` uses CUDA if PyTorch can use it.

    Raises:
        SegError: if CUDA is requested and cannot be used.
    """
    usable = torch.cuda.is_available()
    if name == "cuda" and not usable:
        expected = "an NVIDIA GPU and a CUDA build of PyTorch"
        raise SegError("this PyTorch cannot use CUDA", expected, "use --device cpu")
    return torch.device("cuda" if usable and name != "cpu" else "cpu")


def autocast(device: torch.device) -> torch.autocast:
    """Context in which a training step computes convolutions in half precision where that is faster.

    float16 on CUDA, bfloat16 on a processor with AMX, float32 elsewhere. Weights, losses and optimizer stay float32.
    """
    if device.type == "cuda":
        return torch.autocast("cuda", torch.float16)
    return torch.autocast("cpu", torch.bfloat16, enabled=bool(torch.cpu.get_capabilities().get("amx_bf16")))


def torch_infer(model: nn.Module, device: torch.device) -> Infer:
    """Wrap a model for the runtime: `(1, C, *input_shape)` float32 -> logits `(1, K, *output_shape)` float32."""

    @torch.inference_mode()
    def infer(window: NDArray[np.float32]) -> NDArray[np.float32]:
        x = torch.from_numpy(window).to(device, memory_format=LAYOUT[window.ndim - 2])
        logits: NDArray[np.float32] = model(x).float().cpu().numpy()
        return logits

    return infer
