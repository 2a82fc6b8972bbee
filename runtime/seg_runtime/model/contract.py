"""The contract: all that makes pre- and post-processing identical from the laboratory to the edge.

It is born in training, saved in the checkpoint, stamped into the ONNX file's metadata and read back by the runtime.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..support.errors import ContractError

VERSION = 5
METADATA_KEY = "seg_edge.contract"
GEOMETRIES = ("tile", "fit", "stretch")
PIXELS = ("integer", "float")
FORMS = ("window", "host-ready")
PRECISIONS = ("fp32", "int8", "fp16")
HOST_DTYPES = ("uint8", "uint16", "float32")
INTENSITIES = ("scale", "standardize", "window", "zscore")
TASKS = {  # task -> (activation, decision)
    "multiclass": ("softmax", "argmax"),
    "multilabel": ("sigmoid", "threshold"),
    "regression": ("none", "none"),
}
MOST_OUTPUTS = 64

# version -> what older files mean
_ADDED: dict[int, dict[str, Any]] = {
    2: {"form": "window", "host_dtype": ""},
    3: {"precision": "fp32"},
    4: {"batch": 1, "channel_files": []},
    5: {"outputs": [], "channel_factors": [], "voxels": None},
}


@dataclass(frozen=True)
class Code:
    """A coded concept as DICOM writes it, e.g. 10200004, SCT, Liver (PS3.3, section 8)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class ClassInfo:
    """One class: its name and the RGB colour (0..255) that masks and overlays show it in.

    `category` and `property_type` say in codes what it is, e.g. (123037004, SCT, Anatomical Structure) and
    (10200004, SCT, Liver): DICOM's segmented property category and type. None where nobody said.
    """

    name: str
    color: tuple[int, int, int]
    category: Code | None = None
    property_type: Code | None = None


@dataclass(frozen=True)
class OutputInfo:
    """One output of a regression: its value is `offset + scale * y`, y being what the network gives.

    Values are in the units of the training targets, named by `unit` where somebody did. `low` and `high` are the least and
    the largest of those targets: what pictures and scores take for the range. Nothing is clipped to it.
    """

    name: str
    offset: float = 0.0
    scale: float = 1.0
    low: float = 0.0
    high: float = 1.0
    unit: str = ""


@dataclass(frozen=True)
class Intensity:
    """How grey values become floats. Unused parameters stay empty.

    - `scale`: x / dtype maximum (255, 65535; 1 for floats).
    - `standardize`: x / dtype maximum, then (x - mean) / std with `mean`, `std` of the training set, one per channel.
    - `window`: (x - (level - width / 2)) / width, clipped to 0..1, in raw grey values (CT: Hounsfield units).
    - `zscore`: (x - mean) / max(std, std_floor) per image and channel, in units of x / dtype maximum. The floor keeps
      the noise of an empty field from being blown up to the contrast of a full one.
    """

    method: str
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    level: float = 0.0
    width: float = 0.0
    std_floor: float = 0.0


@dataclass(frozen=True)
class Voxels:
    """The grid that a structure of atoms becomes, see `structure.py`: its voxels' side in Å, and its channels, by name."""

    side_angstrom: float
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Contract:
    """Everything besides the weights that decides what a model answers for an image."""

    input_shape: tuple[int, ...]
    """One network input (window), spatial axes only, e.g. (572, 572)."""
    output_shape: tuple[int, ...]
    """The centre of the window that the valid convolutions leave, e.g. (388, 388)."""
    channels: int
    """Image channels the network takes: 1 grey, 3 RGB."""
    intensity: Intensity
    classes: tuple[ClassInfo, ...]
    """Class 0 is the background. Of a regression there are none."""
    geometry: str = "tile"
    """`tile`, `fit` or `stretch`."""
    stride: int = 16
    """The network is equivariant to shifts of this many px only (2 to the number of poolings)."""
    task: str = "multiclass"
    activation: str = "softmax"
    decision: str = "argmax"
    threshold: float = 0.5
    """Probability from which a class counts, for the decision `threshold`."""
    pixels: str = "integer"
    """Kind of the training images' grey values: `integer` (unsigned, 8 or 16 bits) or `float`."""
    form: str = "window"
    """What the file takes: `window`, one normalised network input; `host-ready`, a whole image, the pipeline in the graph."""
    host_dtype: str = ""
    """Of a host-ready file's image: `uint8`, `uint16` or `float32`; empty for a window."""
    precision: str = "fp32"
    """What the network computes in: `fp32`, `int8` or `fp16`; a window and its logits are float32 always."""
    batch: int = 1
    """Windows that the file takes in one call, always so many: `(batch, C, *input_shape)`."""
    channel_files: tuple[str, ...] = ()
    """How the names of a case's files end, one a channel, such as ("_dapi", "_actin"); empty: one file holds all channels."""
    channel_factors: tuple[int, ...] = ()
    """By how much the image of each of `channel_files` is enlarged, each pixel to a square of so many; empty: none is."""
    outputs: tuple[OutputInfo, ...] = ()
    """Of a regression, in their order; of other tasks there are none."""
    voxels: Voxels | None = None
    """Of a model of structures the grid that they become; None for a model of images and volumes."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    parity: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION

    def __post_init__(self) -> None:
        """Refuse a contract that contradicts itself."""
        _check(self)

    @property
    def margin(self) -> tuple[int, ...]:
        """Ring in px that valid convolutions consume on each side, e.g. (92, 92)."""
        return tuple((i - o) // 2 for i, o in zip(self.input_shape, self.output_shape, strict=True))

    @property
    def step(self) -> tuple[int, ...]:
        """Distance in px from window to window: the largest multiple of `stride` inside the output window."""
        return tuple(o // self.stride * self.stride for o in self.output_shape)

    @property
    def maps(self) -> int:
        """Maps of the network's answer, K: one for each class or output."""
        return len(self.outputs or self.classes)

    def to_json(self) -> str:
        """The contract as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Contract:
        """Read a contract back.

        Raises:
            ContractError: not JSON, a newer version, missing or unknown fields, or values that contradict each other.
        """
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise ContractError(f"the contract is not JSON ({error})", "", "export the model again") from error
        if not isinstance(raw, dict):
            raise ContractError("the contract is not a JSON object", "", "export the model again")
        version = raw.get("version")
        if type(version) is not int or version < 1:
            raise ContractError(f"contract version {version!r}", f"1 to {VERSION}", "export the model again")
        if version > VERSION:
            raise ContractError(f"contract version {version}", f"1 to {VERSION}", "upgrade seg-edge on this machine")
        for later in range(version + 1, VERSION + 1):
            raw = {**_ADDED[later], **raw, "version": VERSION}
        known = {f.name for f in fields(cls)}
        if odd := sorted(set(raw) ^ known):
            raise ContractError(
                f"contract fields {odd} missing or unknown", "", "export the model again with this version"
            )
        try:
            raw["intensity"] = Intensity(**{k: _tuple(v) for k, v in raw["intensity"].items()})
            raw["classes"] = tuple(_class_info(c) for c in raw["classes"])
            raw["channel_files"], raw["channel_factors"] = _tuple(raw["channel_files"]), _tuple(raw["channel_factors"])
            raw["outputs"] = tuple(OutputInfo(**o) for o in raw["outputs"])
            raw["voxels"] = raw["voxels"] and Voxels(**{k: _tuple(v) for k, v in raw["voxels"].items()})
            raw["input_shape"], raw["output_shape"] = _tuple(raw["input_shape"]), _tuple(raw["output_shape"])
            return cls(**raw)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ContractError(f"the contract cannot be read ({error!r})", "", "export the model again") from error


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _class_info(raw: Mapping[str, Any]) -> ClassInfo:
    codes = [None if (code := raw.get(key)) is None else Code(**code) for key in ("category", "property_type")]
    return ClassInfo(str(raw["name"]), _color(raw["color"]), *codes)


def _color(value: Any) -> tuple[int, int, int]:
    red, green, blue = (int(v) for v in value)
    return red, green, blue


Need = Callable[[bool, str, str], None]
"""Raises a ContractError of what came and what was wanted where the first is False."""


def _check(c: Contract) -> None:
    def need(ok: bool, came: str, wanted: str) -> None:
        if not ok:
            raise ContractError(f"contract with {came}", wanted, "train or export the model again")

    need(c.geometry in GEOMETRIES, f"geometry {c.geometry!r}", " or ".join(GEOMETRIES))
    need(c.intensity.method in INTENSITIES, f"intensity {c.intensity.method!r}", " or ".join(INTENSITIES))
    whole = (*c.input_shape, *c.output_shape, c.channels, c.stride, c.batch, *(v for k in c.classes for v in k.color))
    need(all(type(v) is int for v in (*whole, *c.channel_factors)), "sizes that are no integers", "integers")
    i = c.intensity
    need(
        all(math.isfinite(v) for v in (*i.mean, *i.std, i.level, i.width, i.std_floor)),
        "infinite numbers",
        "finite ones",
    )
    need(isinstance(c.parity, Mapping) and isinstance(c.provenance, Mapping), "a parity that is no object", "objects")
    need(c.pixels in PIXELS, f"pixels {c.pixels!r}", " or ".join(PIXELS))
    need(c.form in FORMS, f"form {c.form!r}", " or ".join(FORMS))
    dtypes = HOST_DTYPES if c.form == "host-ready" else ("",)
    need(c.host_dtype in dtypes, f"form {c.form!r} of dtype {c.host_dtype!r}", " or ".join(map(repr, dtypes)))
    need(c.precision in PRECISIONS, f"precision {c.precision!r}", " or ".join(PRECISIONS))
    need(c.batch >= 1, f"a batch of {c.batch}", "1 or more")
    several = c.form == "window" and c.geometry == "tile"
    came = f"a batch of {c.batch} windows, form {c.form!r} and geometry {c.geometry!r}"
    need(c.batch == 1 or several, came, "windows of geometry 'tile': others answer an image by one")
    need(c.task in TASKS, f"task {c.task!r}", " or ".join(TASKS))
    pair = (c.activation, c.decision)
    need(pair == TASKS[c.task], f"{c.task} with {pair}", f"{TASKS[c.task]}")
    (_check_outputs if c.task == "regression" else _check_classes)(c, need)
    need(c.channels >= 1, f"{c.channels} channels", "1 or more")
    _check_channels(c, need)
    if c.voxels:
        _check_voxels(c, c.voxels, need)
    need(len(c.input_shape) == len(c.output_shape) >= 1, "input and output of different rank", "the same rank")
    gaps = [i - o for i, o in zip(c.input_shape, c.output_shape, strict=True)]
    need(len(c.input_shape) < 3 or c.geometry == "tile", f"geometry {c.geometry!r} for volumes", "tile")
    need(all(o > 0 for o in c.output_shape), f"output shape {c.output_shape}", "positive sizes")
    need(all(g >= 0 and g % 2 == 0 for g in gaps), f"window {c.input_shape} -> {c.output_shape}", "an even margin")
    need(0 <= c.threshold <= 1, f"threshold {c.threshold}", "a probability from 0 to 1")
    need(c.stride >= 1, f"stride {c.stride}", "1 or more")
    need(
        c.geometry != "tile" or min(c.step) > 0,
        f"geometry 'tile' and an output window of {c.output_shape}",
        f"at least {c.stride} px, else windows cannot meet exactly",
    )
    method = i.method
    if method == "standardize":
        need(len(i.mean) == len(i.std) == c.channels, "mean and std not given per channel", f"{c.channels} of each")
        need(all(s > 0 for s in i.std), f"std {i.std}", "positive values")
    need(method != "window" or i.width > 0, f"intensity window of width {i.width}", "a positive width")
    need(method != "zscore" or i.std_floor > 0, f"zscore floor {i.std_floor}", "a positive floor")


def _check_classes(c: Contract, need: Need) -> None:
    codes = [code for k in c.classes for code in (k.category, k.property_type) if code]
    need(
        all(isinstance(v, str) and v for k in codes for v in asdict(k).values()),
        "an empty code",
        "value, scheme, meaning",
    )
    need(2 <= len(c.classes) <= 256, f"{len(c.classes)} classes", "2 to 256, the background first")
    need(all(0 <= v <= 255 for k in c.classes for v in k.color), "a colour outside 0..255", "RGB values 0..255")
    need(not c.outputs, f"outputs for the task {c.task}", "none")


def _check_outputs(c: Contract, need: Need) -> None:
    names = [o.name for o in c.outputs]
    need(1 <= len(names) <= MOST_OUTPUTS, f"{len(names)} outputs", f"1 to {MOST_OUTPUTS}")
    need(all(isinstance(n, str) and n for n in names), "an output without a name", "a name each")
    need(len(set(names)) == len(names), f"outputs {names}", "names of their own")
    for o in c.outputs:
        numbers = (o.offset, o.scale, o.low, o.high)
        need(all(math.isfinite(v) for v in numbers), f"infinite numbers of the output {o.name}", "finite ones")
        need(o.scale > 0, f"the scale {o.scale} of the output {o.name}", "a positive one")
        need(o.low < o.high, f"values of {o.name} from {o.low} to {o.high}", "a range")
    need(not c.classes, "classes for a regression", "none")
    need(c.geometry == "tile", f"geometry {c.geometry!r} for a regression", "tile, where each pixel has its own value")
    need(
        (c.form, c.precision) == ("window", "fp32"),
        f"form {c.form!r} of {c.precision} for a regression",
        "window, fp32",
    )


def _check_channels(c: Contract, need: Need) -> None:
    endings, factors = c.channel_files, c.channel_factors
    need(
        all(isinstance(e, str) and e and e == e.replace("/", "") for e in endings), "an odd name of a channel", "names"
    )
    need(
        len(set(endings)) == len(endings) in (0, c.channels), f"{len(endings)} channel files", f"{c.channels}, or none"
    )
    need(len(factors) in (0, len(endings)), f"{len(factors)} factors of {len(endings)} files", "one each, or none")
    need(not factors or min(factors) == 1, f"factors {factors}", "whole ones, 1 for the finest channel")


def _check_voxels(c: Contract, voxels: Voxels, need: Need) -> None:
    side, names = voxels.side_angstrom, voxels.channels
    positive = type(side) in (int, float) and math.isfinite(side) and side > 0
    need(positive, f"voxels of {side!r} Å", "a positive side")
    named = all(isinstance(n, str) and n for n in names) and len(names) == c.channels
    need(named, f"voxels of the channels {names}", f"{c.channels} names")
    need(len(c.input_shape) == 3, f"voxels and windows of {len(c.input_shape)} axes", "three")
    need(c.task != "regression", "voxels for a regression", "classes: what is written are sites")
