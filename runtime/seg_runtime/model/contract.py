"""The contract: everything besides the weights that determines the result of a model for an image.

It is created in training, stored in the checkpoint, embedded in the metadata of the ONNX file and read by the runtime,
so that pre- and postprocessing are identical everywhere. Its parts are nested objects, each of which checks its
consistency.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..support import ContractError, parse_json
from .answer import AnswerSpec, ClassInfo
from .input import Input
from .nested import Variant, from_json_value, need, to_json_value
from .policy import Identity, Policy

VERSION = 7
METADATA_KEY = "seg_edge.contract"
GOLDEN_KEY = "seg_edge.golden"
GROWTH_KEY = "seg_edge.growth"
"""Metadata of host-ready files of objects: a second model, base64-encoded, which grows the objects from the planes."""
"""Metadata key of the golden samples, see `golden`."""
GEOMETRIES = ("tile", "fit", "stretch")
PRECISIONS = ("fp32", "int8", "fp16")
HOST_DTYPES = ("uint8", "uint16", "float32")


@dataclass(frozen=True)
class Geometry:
    """How an image of any size is mapped to network inputs of one size.

    Attributes:
        input_shape: shape of one network input (window), spatial axes only, e.g. (572, 572).
        output_shape: shape of the network output, the centre of the window that valid convolutions leave, e.g. (388,
            388).
        method: `tile` cuts windows; `fit` and `stretch` resize the image to one window; see `pipeline/geometry.py`.
        stride: the network is equivariant only to shifts by multiples of this many px (2 to the number of poolings).
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    method: str = "tile"
    stride: int = 16

    def __post_init__(self) -> None:
        """Check the shapes."""
        i, o = self.input_shape, self.output_shape
        need(self.method in GEOMETRIES, f"geometry {self.method!r}", " or ".join(GEOMETRIES))
        need(all(type(v) is int for v in (*i, *o, self.stride)), "sizes are not integers", "integers")
        need(len(i) == len(o) >= 1, f"input shape {i} and output shape {o}", "the same number of axes")
        need(self.axes < 3 or self.method == "tile", f"geometry {self.method!r} for volumes", "tile")
        need(all(n > 0 for n in o), f"output shape {o}", "positive sizes")
        gaps = [a - b for a, b in zip(i, o, strict=True)]
        need(
            all(g >= 0 and g % 2 == 0 for g in gaps),
            f"window {i} -> {o}",
            "an even difference, at least 0, on each axis",
        )
        need(self.stride >= 1, f"stride {self.stride}", "1 or more")
        problem = f"geometry 'tile' with an output window of {o}"
        expected = f"at least {self.stride} px, so that windows meet exactly"
        need(self.method != "tile" or min(self.step) > 0, problem, expected)

    @property
    def axes(self) -> int:
        """Number of spatial axes of a window: 2 for images and slices, 3 for volumes."""
        return len(self.input_shape)

    @property
    def margin(self) -> tuple[int, ...]:
        """Border in px that valid convolutions remove on each side, e.g. (92, 92); 0 for `stretch`, which ignores
        it."""
        if self.method == "stretch":  # the image fills the input; the output, its centre, is used for the whole image
            return (0,) * self.axes
        return tuple((i - o) // 2 for i, o in zip(self.input_shape, self.output_shape, strict=True))

    @property
    def step(self) -> tuple[int, ...]:
        """Distance in px between windows: the largest multiple of `stride` that fits in the output window."""
        if self.method != "tile":  # an image is one window
            return self.output_shape
        return tuple(o // self.stride * self.stride for o in self.output_shape)


@dataclass(frozen=True)
class FileForm(Variant):
    """The input and the precision of a model file. Windows and logits are always float32.

    Attributes:
        whole_images: whether the file takes images of any size, with the pipeline in its graph, instead of windows.
        precision: precision of the network: `fp32`, `int8` or `fp16`.
    """

    whole_images: ClassVar[bool] = False

    precision: str = "fp32"

    def __post_init__(self) -> None:
        """Check the precision."""
        need(self.precision in PRECISIONS, f"precision {self.precision!r}", " or ".join(PRECISIONS))

    @property
    def batch(self) -> int:
        """Number of windows per call."""
        return 1

    @property
    def dtype(self) -> str | None:
        """Dtype of the images that the file takes; None if it takes windows."""
        return None


@dataclass(frozen=True)
class WindowFile(FileForm):
    """A file that takes normalized network inputs `(batch, C, *input_shape)` and returns their logits.

    Attributes:
        batch: fixed number of windows per call.
    """

    kind = "window"

    batch: int = 1

    def __post_init__(self) -> None:
        """Check the fields."""
        super().__post_init__()
        need(type(self.batch) is int and self.batch >= 1, f"batch {self.batch}", "1 or more")


@dataclass(frozen=True)
class HostReadyFile(FileForm):
    """A file that takes a whole image `(H, W, C)` and returns its labels, a window per call: the pipeline is in the graph.

    Attributes:
        dtype: dtype of the image: `uint8`, `uint16` or `float32`.
    """

    kind = "host-ready"
    whole_images = True

    dtype: str = "uint8"

    def __post_init__(self) -> None:
        """Check the fields."""
        super().__post_init__()
        need(self.dtype in HOST_DTYPES, f"host-ready file with dtype {self.dtype!r}", " or ".join(HOST_DTYPES))


def _with_policy(raw: dict[str, Any]) -> dict[str, Any]:
    """Upgrade version 6, which had no policy and kept the grey values in the provenance."""
    provenance = raw.get("provenance")
    provenance = dict(provenance) if isinstance(provenance, Mapping) else {}
    grey = provenance.pop("grey_values", None)
    policy = {**to_json_value(Policy()), "grey_values": grey}
    return {**raw, "version": 7, "provenance": provenance, "policy": policy, "identity": to_json_value(Identity())}


_UPGRADES: Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]] = {6: _with_policy}
"""For each older version, a function that returns the JSON of the next one."""


@dataclass(frozen=True)
class Contract:
    """Everything besides the weights that determines the result of a model for an image.

    Attributes:
        input: the images that the network takes.
        geometry: how images become windows.
        answer: the meaning of the network's output maps.
        file: the input and the precision of the file.
        policy: the images that the model was made for.
        identity: name and version of the model.
        provenance: origin of the model.
        parity: figures of the proofs.
        version: version of the contract's format.
    """

    input: Input
    geometry: Geometry
    answer: AnswerSpec
    file: FileForm = WindowFile()
    policy: Policy = field(default_factory=Policy)
    identity: Identity = field(default_factory=Identity)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    parity: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION

    def __post_init__(self) -> None:
        """Check that the parts are consistent."""
        answer, file, method = self.answer, self.file, self.geometry.method
        kind = f"a model that predicts {answer.kind}"
        need(method in answer.geometries, f"geometry {method!r} for {kind}", " or ".join(answer.geometries))
        need(file.kind in answer.forms, f"form {file.kind!r} for {kind}", " or ".join(answer.forms))
        precisions = " or ".join(answer.precisions)
        need(file.precision in answer.precisions, f"precision {file.precision!r} for {kind}", precisions)
        problem = f"batch {file.batch} with geometry {method!r}"
        need(file.batch == 1 or method == "tile", problem, "geometry 'tile', since the others use one window per image")
        if self.input.voxels:
            need(self.geometry.axes == 3, f"voxels with windows of {self.geometry.axes} axes", "3 axes")
            need(answer.decided, f"voxels with {kind}", "a model that predicts classes, since the results are sites")

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """Classes of the answer, the background first; empty if it has none."""
        found: tuple[ClassInfo, ...] = getattr(self.answer, "classes", ())
        return found

    def to_json(self) -> str:
        """Return the contract as one line of JSON."""
        return json.dumps(to_json_value(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes | memoryview) -> Contract:
        """Read a contract from JSON.

        Raises:
            ContractError: the text is not JSON, or has another version, missing or unknown fields, or inconsistent
                values.
        """
        text = text if isinstance(text, str) else bytes(text).decode("utf-8", "replace")
        try:
            raw = parse_json(text)
        except ValueError as error:
            raise ContractError(f"the contract is not JSON ({error})", "", "export the model again") from error
        if not isinstance(raw, dict):
            raise ContractError("the contract is not a JSON object", "", "export the model again")
        version = raw.get("version")
        while type(version) is int and version in _UPGRADES:
            raw = _UPGRADES[version](raw)
            version = raw["version"]
        if type(version) is not int or version != VERSION:
            newer = type(version) is int and version > VERSION
            advice = (
                "upgrade seg-edge on this machine" if newer else "train and export the model again with this version"
            )
            raise ContractError(f"the contract has version {version!r}", f"version {VERSION}", advice)
        return from_json_value(cls, raw)
