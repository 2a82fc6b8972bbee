"""Golden samples: small images and their expected results, stored in the model file.

The expected results are those of the torch model. For an int8 file, they are those of its own graph, computed operator
by operator: the loss of accuracy compared with torch is measured at export, on real images, and a device only has to
reproduce the arithmetic of the file.

The metadata entry `seg_edge.golden` is a base64-encoded npz archive with `info` (JSON) and, for each sample i,
`image_i`, `labels_i`, `close_i`, `positions_i` and `logits_i`; a regression has no labels. A model of objects also has
`objects_i`.
"""

from __future__ import annotations

import base64
import io
import json
import math
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support import ModelError, parse_json
from .contract import Contract

FP32_LIMIT = (
    1e-4  # share of the logit range: 30 times the observed rounding errors, 1/100 of the effect of a wrong weight
)
FLIP_MARGIN_ERRORS = (
    2.0  # each of two logits may be wrong by the limit, so a flip needs a margin of up to twice the limit
)
MAX_BYTES = 1 << 28  # size of all arrays
VERSION = 1
DTYPES = ("uint8", "uint16", "float32")


@dataclass(frozen=True)
class Pixels:
    """An image as 8-bit values. The grey values are `offset + scale * values`, as `dtype`."""

    values: NDArray[np.uint8]
    """`(H, W, C)`."""
    dtype: str = "uint8"
    scale: float = 1.0
    offset: float = 0.0

    def image(self) -> NDArray[Any]:
        """Return the image `(H, W, C)` as `dtype`, computed in float64 and rounded once, so that all machines agree."""
        values = self.values * np.float64(self.scale) + np.float64(self.offset)
        dtype = np.dtype(self.dtype)
        if dtype.kind == "u":
            values = np.clip(np.rint(values), 0, np.iinfo(dtype).max)
        return values.astype(dtype)


@dataclass(frozen=True)
class Sample:
    """An image that fits in one output window, and its expected results."""

    pixels: Pixels
    labels: NDArray[np.uint8] | None
    """`(H, W)`, what is decided for each pixel, see `answers.Answer.decision`; None for a regression."""
    close: NDArray[np.bool_] | None
    """`(H, W)`: pixels that are so undecided that an error within the limit may flip their label."""
    positions: NDArray[np.int32]
    """`(P,)` indices into the flattened logits `(K, *output_shape)`."""
    logits: NDArray[np.float32]
    """`(P,)` logits at these positions."""
    low: float
    high: float
    """Smallest and largest of all logits."""
    objects: NDArray[np.int32] | None = None
    """`(H, W)` ids of objects; None if the model predicts no objects."""

    @property
    def logit_range(self) -> float:
        """Largest minus smallest logit."""
        return self.high - self.low


@dataclass(frozen=True)
class Golden:
    """The samples of a file and the allowed errors, as shares of the logit range."""

    samples: tuple[Sample, ...]
    limit: float = FP32_LIMIT
    """Largest allowed error of any logit."""
    rms_limit: float | None = None
    """Largest allowed RMS error over the logits of a sample; None if only `limit` applies."""

    def to_text(self) -> str:
        """Return the text for the file's metadata. The same samples give the same text."""
        arrays: dict[str, NDArray[Any]] = {}
        facts = []
        for i, s in enumerate(self.samples):
            arrays |= {f"image_{i}": s.pixels.values, f"positions_{i}": s.positions, f"logits_{i}": s.logits}
            if s.labels is not None and s.close is not None:
                arrays |= {f"labels_{i}": s.labels, f"close_{i}": np.packbits(s.close)}
            if s.objects is not None:
                arrays[f"objects_{i}"] = s.objects
            p = s.pixels
            facts.append({"dtype": p.dtype, "scale": p.scale, "offset": p.offset, "low": s.low, "high": s.high})
        limits = {"limit": self.limit, **({} if self.rms_limit is None else {"rms_limit": self.rms_limit})}
        info = json.dumps({"version": VERSION, **limits, "samples": facts}, allow_nan=False)
        file = io.BytesIO()
        np.savez_compressed(file, info=np.frombuffer(info.encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        return base64.b64encode(file.getvalue()).decode()

    @classmethod
    def from_text(cls, text: bytes | memoryview, contract: Contract) -> Golden:
        """Read samples from the file's metadata.

        Raises:
            ModelError: the samples are damaged, have another version or do not match the contract.
        """
        try:
            arrays = _arrays(base64.b64decode(text, validate=True))
            info = parse_json(bytes(arrays["info"]))
            if info["version"] != VERSION:
                problem = f"the golden samples have version {info['version']!r}"
                raise ModelError(problem, f"version {VERSION}", "upgrade seg-edge on this machine")
            samples = tuple(_sample(arrays, i, facts, contract) for i, facts in enumerate(info["samples"]))
            _need(0 < info["limit"] < 1 and bool(samples), "no samples or an invalid limit")
            rms_limit = info.get("rms_limit")
            _need(rms_limit is None or 0 < rms_limit < 1, "an invalid RMS limit")
            return cls(samples, float(info["limit"]), None if rms_limit is None else float(rms_limit))
        except ModelError:
            raise
        except Exception as error:  # numpy, zipfile and their dependencies raise many classes
            raise ModelError(f"the golden samples cannot be read ({error})", "", "copy or export it again") from error


def _arrays(packed: bytes) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        _need(sum(entry.file_size for entry in archive.infolist()) <= MAX_BYTES, f"more than {MAX_BYTES} bytes")
        return {name.removesuffix(".npy"): _array(archive.read(name)) for name in archive.namelist()}


def _array(content: bytes) -> NDArray[Any]:
    """Return the array in the content of an npy file, for which `np.load` would reserve whatever its header claims."""
    file = io.BytesIO(content)
    _need(np.lib.format.read_magic(file) == (1, 0), "an array in another version of npy")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    size, have = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    _need(not dtype.hasobject and size == have, f"an array of {size} bytes in {have}")
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape, order="F" if fortran else "C")


def _sample(arrays: dict[str, NDArray[Any]], i: int, facts: dict[str, Any], contract: Contract) -> Sample:
    values, positions, logits = (arrays[f"{kind}_{i}"] for kind in ("image", "positions", "logits"))
    shape = values.shape[:-1]
    _need(values.shape == (*shape, contract.input.channels), f"an image of shape {values.shape}")
    _need(len(shape) == len(contract.geometry.output_shape) and values.size > 0, f"an image of shape {values.shape}")
    _need(
        all(n <= o for n, o in zip(shape, contract.geometry.output_shape, strict=True)),
        f"an image of shape {shape}, larger than one window",
    )
    _need(values.dtype == np.uint8, "an image that is not uint8")
    labels, close = _labels(arrays, i, shape) if contract.answer.decided else (None, None)
    _need(
        positions.shape == logits.shape and positions.ndim == 1 and positions.size > 0,
        "logits and positions that do not match",
    )
    _need(positions.dtype == np.int32 and logits.dtype == np.float32, "logits or positions with an unexpected dtype")
    size = contract.answer.maps * math.prod(contract.geometry.output_shape)
    _need(positions.min() >= 0 and positions.max() < size, "positions outside the logits")
    pixels = Pixels(values, str(facts["dtype"]), float(facts["scale"]), float(facts["offset"]))
    _need(pixels.dtype in DTYPES, f"an image of dtype {pixels.dtype}")
    low, high = float(facts["low"]), float(facts["high"])
    _need(math.isfinite(high - low) and high > low, "logits with an empty range")
    objects = arrays.get(f"objects_{i}")
    _need(objects is None or (objects.shape == shape and objects.dtype == np.int32), "objects of another shape")
    return Sample(pixels, labels, close, positions, logits, low, high, objects)


def _labels(
    arrays: dict[str, NDArray[Any]], i: int, shape: tuple[int, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    labels, packed = arrays[f"labels_{i}"], arrays[f"close_{i}"]
    _need(
        labels.shape == shape and labels.dtype == np.uint8,
        f"{labels.dtype} labels of shape {labels.shape}, not {shape}",
    )
    _need(packed.shape == (-(-labels.size // 8),), f"a mask of {packed.shape} bytes")
    return labels, np.unpackbits(packed, count=labels.size).astype(bool).reshape(shape)


def _need(ok: bool, found: str) -> None:
    if not ok:
        raise ValueError(found)
