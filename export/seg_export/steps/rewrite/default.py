"""The tables that serve when nobody measures: which layer gets which form."""

from __future__ import annotations

from collections.abc import Sequence

from .layers import FORMS, Layer
from .layout import PACK

WIDE = 128  # channels and maps from which Winograd's transforms along columns cost less than the products they save
WIDER = 256  # and those along both axes
AREA = 1600  # px; below so many results the weights weigh more than the time they save
SHARE = 16  # weights a result, at most, that may grow fourfold; heavier layers get twofold ones, for the sake of memory


def default_table(layers: Sequence[Layer], precision: str = "fp32") -> dict[str, str]:
    """A form for each layer that is better off in another than torch's own, as measured on 2 cores with AVX-512.

    Args:
        layers: of `find_layers`.
        precision: `fp32`, `int8` or `fp16`; the last is for CUDA, which likes torch's forms.
    """
    choose = {"fp32": _float, "int8": _integer}.get(precision)
    return {layer.name: form for layer in layers if choose and (form := choose(layer)) != FORMS[layer.kind][0]}


def _float(layer: Layer) -> str:
    if layer.kind == "crop":
        return "dilated"
    if layer.kind == "up":
        return "transposed"
    area = (layer.size[0] - 2) * (layer.size[1] - 2)
    width = min(layer.channels, layer.maps)
    if width >= WIDER and layer.channels * layer.maps <= SHARE * area:
        return "winograd"
    if width >= WIDE and area >= AREA:
        return "winograd1d"
    return "split" if len(layer.parts) > 1 else "direct"


def _integer(layer: Layer) -> str:
    if layer.kind == "conv":
        return "padded" if layer.channels % PACK else "direct"
    return {"up": "woven", "crop": "slice"}[layer.kind]
