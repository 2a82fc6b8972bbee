"""The contract: everything besides the weights that decides what a model answers for an image.

It is created in training, stored in the checkpoint, embedded in the ONNX file's metadata and read back by the runtime, so that
pre- and post-processing are identical everywhere. Its parts are nested objects; each refuses what contradicts itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..support import ContractError
from .answer import AnswerSpec, ClassInfo
from .input import Input
from .nested import Variant, from_json_value, need, to_json_value

VERSION = 6
METADATA_KEY = "seg_edge.contract"
GOLDEN_KEY = "seg_edge.golden"
"""Of the golden samples, see `golden`."""
GEOMETRIES = ("tile", "fit", "stretch")
PRECISIONS = ("fp32", "int8", "fp16")
HOST_DTYPES = ("uint8", "uint16", "float32")


@dataclass(frozen=True)
class Geometry:
    """How an image of any size becomes network inputs of one size.

    Attributes:
        input_shape: of one network input (window), spatial axes only, e.g. (572, 572).
        output_shape: the centre of the window that the valid convolutions leave, e.g. (388, 388).
        method: `tile` cuts windows, `fit` and `stretch` resize the image to one window; see `pipeline/geometry.py`.
        stride: the network is equivariant to shifts of this many px only (2 to the number of poolings).
    """

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    method: str = "tile"
    stride: int = 16

    def __post_init__(self) -> None:
        """Refuse windows that cannot be."""
        i, o = self.input_shape, self.output_shape
        need(self.method in GEOMETRIES, f"geometry {self.method!r}", " or ".join(GEOMETRIES))
        need(all(type(v) is int for v in (*i, *o, self.stride)), "sizes that are no integers", "integers")
        need(len(i) == len(o) >= 1, "input and output of different rank", "the same rank")
        need(self.axes < 3 or self.method == "tile", f"geometry {self.method!r} for volumes", "tile")
        need(all(n > 0 for n in o), f"output shape {o}", "positive sizes")
        gaps = [a - b for a, b in zip(i, o, strict=True)]
        need(all(g >= 0 and g % 2 == 0 for g in gaps), f"window {i} -> {o}", "an even margin")
        need(self.stride >= 1, f"stride {self.stride}", "1 or more")
        problem = f"geometry 'tile' and an output window of {o}"
        wanted = f"at least {self.stride} px, else windows cannot meet exactly"
        need(self.method != "tile" or min(self.step) > 0, problem, wanted)

    @property
    def axes(self) -> int:
        """Spatial axes of a window: 2 for images and slices, 3 for volumes."""
        return len(self.input_shape)

    @property
    def margin(self) -> tuple[int, ...]:
        """Ring in px that valid convolutions consume on each side, e.g. (92, 92); `stretch` gives it no thought: 0."""
        if self.method == "stretch":  # the whole input is the image; its answer, the centre, is taken for all of it
            return (0,) * self.axes
        return tuple((i - o) // 2 for i, o in zip(self.input_shape, self.output_shape, strict=True))

    @property
    def step(self) -> tuple[int, ...]:
        """Distance in px from window to window: the largest multiple of `stride` inside the output window."""
        if self.method != "tile":  # an image is one window
            return self.output_shape
        return tuple(o // self.stride * self.stride for o in self.output_shape)


@dataclass(frozen=True)
class FileForm(Variant):
    """What a model file takes and computes in; a window and its logits are float32 always.

    Attributes:
        whole_images: whether it takes images of any size, the pipeline being in its graph; else windows.
        precision: what the network computes in: `fp32`, `int8` or `fp16`.
    """

    whole_images: ClassVar[bool] = False

    precision: str = "fp32"

    def __post_init__(self) -> None:
        """Refuse an unknown precision."""
        need(self.precision in PRECISIONS, f"precision {self.precision!r}", " or ".join(PRECISIONS))

    @property
    def batch(self) -> int:
        """Windows in one call."""
        return 1

    @property
    def dtype(self) -> str | None:
        """Of the images that the file takes; None where it takes windows."""
        return None


@dataclass(frozen=True)
class WindowFile(FileForm):
    """A file that takes normalised network inputs `(batch, C, *input_shape)` and gives their logits.

    Attributes:
        batch: windows in one call, always so many.
    """

    kind = "window"

    batch: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        need(type(self.batch) is int and self.batch >= 1, f"a batch of {self.batch}", "1 or more")


@dataclass(frozen=True)
class HostReadyFile(FileForm):
    """A file that takes a whole image `(H, W, C)` and gives its labels: the pipeline is in the graph.

    Attributes:
        dtype: of the image: `uint8`, `uint16` or `float32`.
    """

    kind = "host-ready"
    whole_images = True

    dtype: str = "uint8"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        super().__post_init__()
        need(self.dtype in HOST_DTYPES, f"a host-ready file of {self.dtype!r}", " or ".join(HOST_DTYPES))


@dataclass(frozen=True)
class Contract:
    """Everything besides the weights that decides what a model answers for an image.

    Attributes:
        input: what images the network takes.
        geometry: how they become windows.
        answer: what the network's maps mean.
        file: what the file takes and computes in.
        provenance: where the model comes from.
        parity: the figures of its proofs.
    """

    input: Input
    geometry: Geometry
    answer: AnswerSpec
    file: FileForm = WindowFile()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    parity: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION

    def __post_init__(self) -> None:
        """Refuse parts that contradict each other."""
        answer, file, method = self.answer, self.file, self.geometry.method
        kind = f"answers of the kind {answer.kind}"
        need(method in answer.geometries, f"geometry {method!r} for {kind}", " or ".join(answer.geometries))
        need(file.kind in answer.forms, f"form {file.kind!r} for {kind}", " or ".join(answer.forms))
        need(file.precision in answer.precisions, f"{file.precision} for {kind}", " or ".join(answer.precisions))
        problem = f"a batch of {file.batch} windows and geometry {method!r}"
        need(file.batch == 1 or method == "tile", problem, "geometry 'tile': others answer an image by one window")
        if self.input.voxels:
            need(self.geometry.axes == 3, f"voxels and windows of {self.geometry.axes} axes", "three")
            need(answer.decided, f"voxels and {kind}", "classes: what is written are sites")

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """Of an answer that has classes, the background first; else empty."""
        found: tuple[ClassInfo, ...] = getattr(self.answer, "classes", ())
        return found

    def to_json(self) -> str:
        """The contract as one line of JSON."""
        return json.dumps(to_json_value(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes | memoryview) -> Contract:
        """Read a contract back.

        Raises:
            ContractError: not JSON, another version, missing or unknown fields, or values that contradict each other.
        """
        text = text if isinstance(text, str) else bytes(text).decode("utf-8", "replace")
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ContractError(f"the contract is not JSON ({error})", "", "export the model again") from error
        if not isinstance(raw, dict):
            raise ContractError("the contract is not a JSON object", "", "export the model again")
        version = raw.get("version")
        if type(version) is not int or version != VERSION:
            newer = type(version) is int and version > VERSION
            fix = "upgrade seg-edge on this machine" if newer else "train and export the model again with this version"
            raise ContractError(f"contract version {version!r}", f"{VERSION}", fix)
        return from_json_value(cls, raw)
