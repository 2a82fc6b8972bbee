"""Objects: one id per object, also where objects touch.

The network separates objects in one of two published ways, see `ObjectSpec.separation`.

`border`: the border of an object is a class of its own, as in Caicedo et al. 2019 (Cytometry A 95, 952-965). The interior
of an object is where any other class is likely.

`distance`: two maps beside the classes, as in Scherr et al. 2020 (PLoS ONE 15, e0243219): c, the distance to the edge of
the object as a fraction of its largest one, and n, which rises to 1 towards other objects. The interior is c - n². The
network gives both as logits, because numbers far below 1 are slow to learn beside the logits of the classes.

Both give three numbers for each pixel, as bytes: its class, the probability that it belongs to an object, and its
interior. These are stitched; only then, on the whole image, are objects grown by a watershed, see `separate.grown`. So an
object that lies in several windows is one object, and tiles give the objects of the whole image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..model import Contract, ObjectSpec
from ..pipeline import Array, Float, Scaling, activate, count_labels
from ..support import require_extra
from .answer import Answer
from .separate import classes_of, grown, renumbered

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from PIL import Image

    from ..formats import Output, PageResult, Source

_CLASS, _MASK, _INTERIOR = range(3)
"""Planes of the result of a window."""
_STEEPEST = 1 / 4 + 8 / 27
"""Largest change of c - n² for a change of both logits, whose sigmoids are c and n: the slopes of s and s² for a sigmoid s."""


class Objects(Answer):
    """`(3, *spatial)` int32: the ids of objects, 1 to n and 0 for none, the class of each pixel, that of its object, and the
    probability that the pixel belongs to an object, 0..255."""

    Spec = ObjectSpec
    data = "objects"

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract)
        assert isinstance(contract.answer, ObjectSpec)
        self.spec = contract.answer
        self.classes = len(self.spec.classes)
        require_extra("objects", "skimage")

    @property
    def mask_level(self) -> int:
        """Smallest byte of the probability that belongs to an object."""
        return _level(self.spec.mask_threshold)

    @property
    def seed_level(self) -> int:
        """Smallest byte of the interior from which an object grows."""
        return _level(self.spec.seed_threshold)

    def empty(self, shape: tuple[int, ...]) -> Array:
        """Return planes of zeros."""
        return np.zeros((*self.spec.result_axes, *shape), np.uint8)

    def window(self, logits: Float) -> NDArray[np.uint8]:
        """Return `(3, *spatial)`: the class among those of objects, and the probability of an object and the interior as
        bytes, 0..255."""
        own = logits[1 : self.classes]
        best = own.argmax(axis=0).astype(np.uint8) + np.uint8(1)
        return np.stack([best, *map(_bytes, self._shares(logits))])

    def whole(self, stitched: Array) -> NDArray[np.int32]:
        """Grow the objects of an image from the stitched planes `(3, *spatial)`."""
        spec = self.spec
        mask = stitched[_MASK] >= self.mask_level
        core = stitched[_INTERIOR] >= self.seed_level
        ids = grown(mask, core, spec.smallest_px, spec.peak_px, spec.fill_holes)
        labels = classes_of(ids, stitched[_CLASS], self.classes)
        return np.stack([ids, labels, stitched[_MASK].astype(np.int32)])

    def unscaled(self, answer: Array, scaling: Scaling) -> Array:
        """Return a result on the grid of the image. An object that is smaller than a pixel of a coarse image may have none
        there, so the others are numbered again."""
        if not scaling:
            return answer
        ids, labels, share = scaling.back(answer)
        return np.stack([renumbered(ids), labels, share])

    def confidence(self, result: PageResult) -> Float:
        """Return the probability of an object of each pixel."""
        return np.asarray(result.answer[2], np.float32) / np.float32(255)

    def decided(self, stitched: Array) -> NDArray[np.uint8]:
        """Return what is decided for each pixel `(*spatial)`: its class, plus K in the interior; 0 for the background."""
        best, mask, interior = stitched
        inside = mask >= self.mask_level
        decided = best + np.uint8(self.classes) * (interior >= self.seed_level)
        return np.where(inside, decided, 0).astype(np.uint8)

    def margins(self, logits: Float) -> Float:
        """Return how far the logits of each pixel are from another decision: an error e of every logit bridges 2e."""
        mask, interior = (_edge(t) for t in (self.spec.mask_threshold, self.spec.seed_threshold))
        own = logits[: self.classes + (self.spec.separation == "border")]
        margin = np.abs(_odds(own, slice(1, None), slice(0, 1)) - _logit(mask))
        if self.spec.separation == "border":
            odds = np.abs(_odds(own, slice(1, self.classes), [0, self.classes]) - _logit(interior))
        else:
            odds = 2 * np.abs(self._shares(logits)[1] - interior) / _STEEPEST
        margin = np.minimum(margin, odds)
        if self.classes > 2:
            top = np.partition(logits[1 : self.classes], self.classes - 3, axis=0)[-2:]
            margin = np.minimum(margin, top[1] - top[0])
        return np.asarray(margin, np.float32)

    def part(self, answer: Array, data: str) -> Array | None:
        """Return the ids as `objects`, or the class of each pixel as `labels`."""
        return {"objects": answer[0], "labels": answer[1].astype(np.uint8)}.get(data)

    def outputs(self, source: Source, wanted: Collection[str] = (), data: str = "") -> Sequence[Output]:
        """Return the files for the classes, if the format has them, and for the ids."""
        labels = source.format.outputs("labels", source)
        return [
            *(super().outputs(source, wanted, "labels") if labels else ()),
            *super().outputs(source, wanted, "objects"),
        ]

    def record(self, answer: Array) -> dict[str, Any]:
        """Return the number of objects and of their pixels for each class."""
        ids, labels, _ = answer
        pixels = count_labels(labels.astype(np.uint8), self.classes)
        _, first = np.unique(ids, return_index=True)  # a pixel of each object, and one of the background
        objects = np.bincount(labels.ravel()[first], minlength=self.classes)
        objects[0] = 0
        return {
            "objects": int(ids.max(initial=0)),
            "classes": [
                {
                    "index": i, "name": c.name, "pixels": int(pixels[i]), "share": float(pixels[i] / labels.size),
                    **({"objects": int(objects[i])} if i else {}),
                }
                for i, c in enumerate(self.spec.classes)
            ],
        }  # fmt: skip

    def draw(self, image: Array, answer: Array) -> Image.Image:
        """Draw the classes over the image, with an outline around each object, and the number of objects."""
        from .overlay import overlay

        ids, labels, _ = answer
        counts = {entry["index"]: entry["objects"] for entry in self.record(answer)["classes"][1:]}
        return overlay(image, labels.astype(np.uint8), self.spec.classes, self.contract.input.intensity, ids, counts)

    def _shares(self, logits: Float) -> tuple[Float, Float]:
        """Return the probability of an object and the interior of each pixel, 0..1."""
        if self.spec.separation == "border":
            shares = activate(logits, "softmax")
            return 1 - shares[0], shares[1 : self.classes].sum(axis=0)
        distance, near = activate(logits[self.classes :], "sigmoid")
        interior = np.maximum(distance - np.square(near), np.float32(0))
        return 1 - activate(logits[: self.classes], "softmax")[0], interior


def _bytes(share: Float) -> NDArray[np.uint8]:
    return np.asarray(np.rint(share * np.float32(255)), np.uint8)


def _level(threshold: float) -> int:
    """Smallest byte that reaches a threshold."""
    return int(np.ceil(np.round(255 * threshold, 6)))


def _edge(threshold: float) -> float:
    """Share, 0..1, from which `_bytes` reaches the level of a threshold."""
    return (_level(threshold) - 0.5) / 255


def _logit(share: float) -> float:
    return float(np.log(share) - np.log1p(-share))


def _odds(logits: Float, some: Any, others: Any) -> Float:
    """Return the logit of the probability of some maps against others."""
    return np.asarray(np.logaddexp.reduce(logits[some], axis=0) - np.logaddexp.reduce(logits[others], axis=0))
