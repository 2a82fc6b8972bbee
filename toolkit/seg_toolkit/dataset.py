"""An endless, seeded stream of training windows, the same whatever the number of workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from seg_runtime.contract import Contract
from seg_runtime.errors import SegError
from seg_runtime.geometry import frame, frame_labels
from seg_runtime.image import fitted
from seg_runtime.preprocess import Array, normaliser
from torch import Tensor
from torch.utils.data import Dataset

from .augment import Augmentation, coordinates, draw, vary_grey, warp
from .case import Case
from .folder import ClassValues
from .weightmap import border_term, split_touching, weight_map

CACHE_BYTES = 1 << 30  # of framed cases kept per worker, so that small sets are read once
SIGMA_PX = 5.0  # width of the border term, as in the paper


@dataclass(frozen=True)
class Framed:
    """One case as the network sees it: `(H, W, C)` raw grey values, `(H, W)` uint8 labels, `(H, W)` float32 weights."""

    image: Array
    labels: NDArray[np.uint8]
    weights: NDArray[np.float32]


Item = tuple[Tensor, Tensor, Tensor]


def collate(items: Sequence[Item | SegError]) -> list[Tensor] | SegError:
    """A batch of the stream, or the first error in it."""
    good = [item for item in items if not isinstance(item, SegError)]
    if len(good) < len(items):
        return next(item for item in items if isinstance(item, SegError))
    return [torch.stack(parts) for parts in zip(*good, strict=True)]


class WindowStream(Dataset["Item | SegError"]):
    """Windows `(C, H, W)` float32 with labels `(h, w)` int64 and weights `(h, w)` float32 of their output windows.

    Item k is drawn from the seed and k alone. A share of `balance` of the windows is laid on a pixel of a class chosen
    evenly among the classes of the image, so that rare ones are met often; the others lie anywhere. Classes that most
    images lack (`scarce`: class -> places of the cases that hold it) draw half as many windows into their own images.
    """

    def __init__(
        self,
        cases: Sequence[Case],
        classes: Sequence[ClassValues],
        contract: Contract,
        class_weights: Sequence[float],
        border_weight: float,
        augmentation: Augmentation,
        seed: int,
        balance: float = 0.5,
        scarce: Mapping[int, Sequence[int]] | None = None,
    ) -> None:
        """Set up the stream; files are read when a window needs them."""
        self.cases, self.classes, self.contract = list(cases), tuple(classes), contract
        self.class_weights, self.border_weight = tuple(class_weights), border_weight
        self.augmentation, self.seed, self.balance = augmentation, seed, balance
        self.scarce = dict(scarce or {})
        self._kept: dict[int, Framed] = {}
        self._room = CACHE_BYTES

    def __getitem__(self, index: int) -> Item | SegError:
        """Window `index` of the stream; a SegError comes back as a value, since workers cannot raise one whole."""
        try:
            return self._window(index)
        except SegError as error:
            return error

    def _window(self, index: int) -> Item:
        epoch, place = divmod(index, len(self.cases))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.cases))
        rng = np.random.default_rng([self.seed, epoch, place])
        case = self._framed(self._scarce_case(index) if self._wants_scarce(index) else int(order[place]))
        change = draw(rng, self.augmentation)
        where = coordinates(change, self._centre(case, rng), self._input())
        image = normaliser(case.image, self.contract.intensity)(warp(case.image, where, 3))
        image = vary_grey(image, change)
        answered = self._answered(where)
        labels = warp(case.labels[..., None], answered, 0)[..., 0]
        weights = warp(case.weights[..., None], answered, 0)[..., 0]
        return (
            torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, -1, 0))),
            torch.from_numpy(labels.astype(np.int64)),
            torch.from_numpy(np.ascontiguousarray(weights)),
        )

    def _wants_scarce(self, index: int) -> bool:
        chance = np.random.default_rng([self.seed, index, 1]).random()
        return bool(self.scarce) and chance < self.balance / 2

    def _scarce_case(self, index: int) -> int:
        rng = np.random.default_rng([self.seed, index, 2])
        places = self.scarce[int(rng.choice(sorted(self.scarce)))]
        return int(rng.choice(places))

    def _input(self) -> tuple[int, int]:
        height, width = self.contract.input_shape
        return height, width

    def _framed(self, place: int) -> Framed:
        if place in self._kept:
            return self._kept[place]
        case = self._read(place)
        size = case.image.nbytes + case.labels.nbytes + case.weights.nbytes
        if size <= self._room:
            self._kept[place], self._room = case, self._room - size
        return case

    def _read(self, place: int) -> Framed:
        case = self.cases[place]
        example = case.read(self.classes)
        image = frame(fitted(example.image, self.contract, case.name), self.contract)
        labels, instances = frame_labels(example.labels, self.contract), example.instances
        border: NDArray[np.float64] | float = 0.0
        if self.border_weight:
            cells = split_touching(labels) if instances is None else frame_labels(instances, self.contract)
            border = border_term(cells, self.border_weight, SIGMA_PX)
            if instances is None:
                labels = np.where(cells > 0, labels, 0).astype(np.uint8)  # the seam between touching cells is no cell
        weights = (weight_map(labels, self.class_weights, w0=0.0) + border).astype(np.float32)
        if example.known is not None:
            weights[~frame_labels(example.known, self.contract)] = 0
        return Framed(image, labels, weights)

    def _centre(self, case: Framed, rng: np.random.Generator) -> NDArray[np.float64]:
        shape = np.array(case.labels.shape)
        anywhere: NDArray[np.float64]
        middle: NDArray[np.float64]
        anywhere, rare = rng.random(2) * (shape - 1), rng.random() < self.balance
        if self.contract.geometry != "tile":  # the network always sees the whole image; shift it a little
            middle = (np.array(self._fixed_shape(case)) - 1) / 2
            middle += (rng.random(2) - 0.5) * 2 * self.augmentation.shift * shape
            return middle
        if not rare:
            return anywhere
        present = np.flatnonzero(np.bincount(case.labels.ravel()))
        pixels = np.flatnonzero(case.labels.ravel() == rng.choice(present))
        hit = np.array(np.unravel_index(rng.choice(pixels), case.labels.shape), np.float64)
        half = np.array(self.contract.output_shape) / 2
        hit += rng.uniform(-half, half) * 0.75  # anywhere in the window, not always its centre
        return hit

    def _fixed_shape(self, case: Framed) -> tuple[int, ...]:
        """What the one window at run time spans of the frame: its answer starts at the frame's first pixel."""
        return self.contract.input_shape if self.contract.geometry == "stretch" else self.contract.output_shape

    def _answered(self, where: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coordinates `(2, h, w)` of the pixels that the network answers for."""
        if self.contract.geometry == "stretch":  # the answer is taken for the whole squeezed image
            rows, columns = (
                np.rint((np.arange(o) + 0.5) * i / o - 0.5).astype(int)
                for i, o in zip(self.contract.input_shape, self.contract.output_shape, strict=True)
            )
            return where[:, rows][:, :, columns]
        (top, left), (height, width) = self.contract.margin, self.contract.output_shape
        return where[:, top : top + height, left : left + width]


class StreamOrder:
    """Indices of the stream from a given one on: what a DataLoader's sampler is."""

    def __init__(self, first: int, last: int) -> None:
        """Indices `first` to `last` - 1."""
        self.first, self.last = first, last

    def __iter__(self) -> Iterator[int]:
        """Iterate over the indices."""
        return iter(range(self.first, self.last))

    def __len__(self) -> int:
        """Count the indices."""
        return self.last - self.first
