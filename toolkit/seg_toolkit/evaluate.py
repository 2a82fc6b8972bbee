"""Score a model on a data set, through the runtime's own corridor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from seg_runtime.contract import Contract, Voxels
from seg_runtime.errors import DataError
from seg_runtime.image import fitted
from seg_runtime.preprocess import Array, Float
from seg_runtime.segment import Infer, segment_labels
from torch import nn

from .case import Case, Example
from .folder import ClassValues
from .metrics import Confusion, confusion
from .networks.network import LAYOUT


@dataclass(frozen=True)
class Scored:
    """One case with the model's answer: `(*spatial, C)` image, `(*spatial)` uint8 truth and labels, `(K, K)` counts.

    Pixels that nobody annotated are not counted.
    """

    name: str
    image: Array
    truth: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    counts: Confusion
    example: Example
    """As it was read."""


def torch_infer(model: nn.Module, device: torch.device) -> Infer:
    """The model as the runtime calls one: `(1, C, *input_shape)` float32 -> logits `(1, K, *output_shape)` float32."""

    @torch.inference_mode()
    def infer(window: Float) -> Float:
        x = torch.from_numpy(window).to(device, memory_format=LAYOUT[window.ndim - 2])
        answer: Float = model(x).float().cpu().numpy()
        return answer

    return infer


def _on(voxels: Voxels | None) -> str:
    return f"a structure on voxels of {voxels.side_angstrom:g} Å" if voxels else "an image or a volume"


def score(
    cases: Sequence[Case], classes: Sequence[ClassValues], contract: Contract, infer: Infer,
    progress: Callable[[Iterable[Case]], Iterable[Case]] = lambda cases: cases,
) -> Iterator[Scored]:  # fmt: skip
    """Segment each case and count, one at a time.

    Raises:
        DataError: a structure on another grid than the model's, whose scores would say nothing.
    """
    for case in progress(cases):
        if case.voxels != contract.voxels:
            came = f"{case.name} is {_on(case.voxels)}"
            raise DataError(came, f"{_on(contract.voxels)} as the model was trained", "choose another --reader")
        example = case.read(classes)
        image, expected = fitted(example.image, contract, case.name), example.labels
        labels = segment_labels(image, contract, infer)
        known = slice(None) if example.known is None else example.known
        yield Scored(
            case.name, image, expected, labels, confusion(expected[known], labels[known], len(classes)), example
        )
