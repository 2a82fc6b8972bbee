"""An endless, seeded stream of training windows, the same whatever the number of workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from seg_runtime.answers import Values, answer_of
from seg_runtime.model.contract import Contract
from seg_runtime.pipeline import Array, Normaliser
from seg_runtime.pipeline.fit import fitted
from seg_runtime.pipeline.geometry import frame, frame_labels
from seg_runtime.support.errors import SegError
from torch import Tensor
from torch.utils.data import Dataset

from .augment import Augmentation, coordinates, draw, on_pixels, vary_grey, warp
from .case import Case, Example
from .folder import ClassValues
from .weightmap import border_term, split_touching, weight_map

CACHE_BYTES = 1 << 30  # of framed cases kept per worker, so that small sets are read once
SIGMA_PX = 5.0  # width of the border term, as in the paper
UNKNOWN = 256  # beyond every class: a pixel that nobody annotated


@dataclass(frozen=True)
class Framed:
    """One case as the network sees it.

    Attributes:
        image: `(*spatial, C)` raw grey values.
        truth: `(*spatial)` uint8 class indices, or `(*spatial, K)` float32 of a regression, in the network's units.
        weights: `(*spatial)` float32.
    """

    image: Array
    truth: Array
    weights: NDArray[np.float32]

    def slice(self, place: int) -> Framed:
        """One slice of a volume."""
        return Framed(self.image[place], self.truth[place], self.weights[place])


Item = tuple[Tensor, Tensor, Tensor]


def collate(items: Sequence[Item | SegError]) -> list[Tensor] | SegError:
    """A batch of the stream, or the first error in it."""
    good = [item for item in items if not isinstance(item, SegError)]
    if len(good) < len(items):
        return next(item for item in items if isinstance(item, SegError))
    return [torch.stack(parts) for parts in zip(*good, strict=True)]


class WindowStream(Dataset["Item | SegError"]):
    """Windows `(C, *input_shape)` float32 with the truth and the weights of their output windows.

    The truth is `(*output_shape)` int64 class indices, or `(K, *output_shape)` float32 of a regression; weights are
    `(*output_shape)` float32.

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
        axes = len(self.contract.geometry.input_shape)
        change, centre = draw(rng, self.augmentation, axes), self._centre(case, rng)
        if len(centre) > axes:  # a network of slices sees the one that the window's centre lies in
            case, centre = case.slice(round(float(centre[0]))), centre[1:]
        where = coordinates(change, centre, self.contract.geometry.input_shape)
        if case.truth.dtype.kind == "f":  # values that are learned must not be blurred needlessly
            where = on_pixels(where)
        image = Normaliser.of(case.image, self.contract.input.intensity)(warp(case.image, where, 3))
        image = vary_grey(image, change)
        answered = self._answered(where)
        weights = warp(case.weights[..., None], answered, 0)[..., 0]
        return (
            torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, -1, 0))),
            torch.from_numpy(self._truth(case.truth, answered)),
            torch.from_numpy(np.ascontiguousarray(weights)),
        )

    def _truth(self, truth: Array, answered: NDArray[np.float64]) -> Array:
        if truth.dtype.kind == "f":
            return np.ascontiguousarray(np.moveaxis(warp(truth, answered, 3), -1, 0))
        return warp(truth[..., None], answered, 0)[..., 0].astype(np.int64)

    def _wants_scarce(self, index: int) -> bool:
        chance = np.random.default_rng([self.seed, index, 1]).random()
        return bool(self.scarce) and chance < self.balance / 2

    def _scarce_case(self, index: int) -> int:
        rng = np.random.default_rng([self.seed, index, 2])
        places = self.scarce[int(rng.choice(sorted(self.scarce)))]
        return int(rng.choice(places))

    def _framed(self, place: int) -> Framed:
        if place in self._kept:
            return self._kept[place]
        case = self._read(place)
        size = case.image.nbytes + case.truth.nbytes + case.weights.nbytes
        if size <= self._room:
            self._kept[place], self._room = case, self._room - size
        return case

    def _read(self, place: int) -> Framed:
        case = self.cases[place]
        example = case.read(self.classes)
        image = frame(fitted(example.image, self.contract, case.name), self.contract)
        if example.targets is not None:
            weights = np.ones(example.targets.shape[:-1], np.float32)
            answer = answer_of(self.contract)
            assert isinstance(answer, Values)
            return Framed(image, answer.to_network(example.targets), self._known(example, weights))
        labels, instances = frame_labels(example.labels, self.contract), example.instances
        border: NDArray[np.float64] | float = 0.0
        if self.border_weight:
            cells = split_touching(labels) if instances is None else frame_labels(instances, self.contract)
            border = border_term(cells, self.border_weight, SIGMA_PX)
            if instances is None:
                labels = np.where(cells > 0, labels, 0).astype(np.uint8)  # the seam between touching cells is no cell
        weights = (weight_map(labels, self.class_weights, w0=0.0) + border).astype(np.float32)
        return Framed(image, labels, self._known(example, weights))

    def _known(self, example: Example, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weights, 0 where nobody annotated."""
        if example.known is not None:
            weights[~frame_labels(example.known, self.contract)] = 0
        return weights

    def _centre(self, case: Framed, rng: np.random.Generator) -> NDArray[np.float64]:
        shape = np.array(case.image.shape[:-1])
        axes = len(shape)
        anywhere: NDArray[np.float64]
        middle: NDArray[np.float64]
        anywhere, rare = rng.random(axes) * (shape - 1), rng.random() < self.balance
        if self.contract.geometry.method != "tile":  # the network always sees the whole image; shift it a little
            middle = (np.array(self._fixed_shape(case)) - 1) / 2
            middle += (rng.random(axes) - 0.5) * 2 * self.augmentation.shift * shape
            return middle
        if not rare or case.truth.dtype.kind == "f":  # values are not of a class
            return anywhere
        known = np.where(case.weights > 0, case.truth, UNKNOWN) if (case.weights == 0).any() else case.truth
        present = np.flatnonzero(np.bincount(known.ravel(), minlength=UNKNOWN + 1)[:UNKNOWN])
        if not len(present):
            return anywhere
        pixels = np.flatnonzero(known.ravel() == rng.choice(present))
        hit = np.array(np.unravel_index(rng.choice(pixels), known.shape), np.float64)
        half = np.zeros(axes)
        half[-len(self.contract.geometry.output_shape) :] = np.array(self.contract.geometry.output_shape) / 2
        hit += rng.uniform(-half, half) * 0.75  # anywhere in the window, not always its centre
        return hit

    def _fixed_shape(self, case: Framed) -> tuple[int, ...]:
        """What the one window at run time spans of the frame: its answer starts at the frame's first pixel."""
        return (
            self.contract.geometry.input_shape
            if self.contract.geometry.method == "stretch"
            else self.contract.geometry.output_shape
        )

    def _answered(self, where: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coordinates `(A, *output_shape)` of the pixels that the network answers for."""
        for axis, (i, o) in enumerate(
            zip(self.contract.geometry.input_shape, self.contract.geometry.output_shape, strict=True), 1
        ):
            places = (i - o) // 2 + np.arange(o)
            if self.contract.geometry.method == "stretch":  # the answer is taken for the whole squeezed image
                places = np.rint((np.arange(o) + 0.5) * i / o - 0.5).astype(int)
            where = where.take(places, axis=axis)
        return where


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
