"""An endless, seeded stream of training windows, independent of the number of workers."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from seg_runtime.model import Geometry
from seg_runtime.pipeline import Normaliser, fitted, frame, frame_labels
from seg_runtime.support import SegError
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..data import Augmentation, Case, warp
from ..networks import Network
from .objectives import Objective

_CACHE_BYTES = 1 << 30  # of framed cases per worker, so that small data sets are read once
_UNKNOWN = 256  # marks pixels without annotation; larger than every class
_LEAST_ANSWER_PX = 128  # side of the answer of a training window, so that a batch has enough pixels to learn from


@dataclass(frozen=True)
class _Framed:
    """One case, framed for the network.

    Attributes:
        image: `(*spatial, C)` raw grey values.
        truth: target `(*spatial)` or `(*spatial, K)`, see `Objective.target`.
        weights: `(*spatial)` float32.
    """

    image: NDArray[Any]
    truth: NDArray[Any]
    weights: NDArray[np.float32]

    def slice(self, place: int) -> _Framed:
        """Select one slice of a volume."""
        return _Framed(self.image[place], self.truth[place], self.weights[place])


Item = tuple[Tensor, Tensor, Tensor]


def _collate(items: Sequence[Item | SegError]) -> list[Tensor] | SegError:
    """Make a batch, or return the first error in it."""
    good = [item for item in items if not isinstance(item, SegError)]
    if len(good) < len(items):
        return next(item for item in items if isinstance(item, SegError))
    return [torch.stack(parts) for parts in zip(*good, strict=True)]


def _ignore_ctrl_c(worker: int) -> None:
    """Ignore Ctrl-C, which a terminal also sends to the workers. They end when the main process closes them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def training_geometry(network: Network, geometry: Geometry, shapes: Sequence[tuple[int, ...]]) -> Geometry:
    """Choose windows for training that are no larger than most of the images.

    An image that is smaller than the answer of a window is mirrored to fill it, and the mirrored part costs time but teaches
    nothing new. A network of valid convolutions answers alike in windows of all sizes, so that only the time of a step changes.

    Args:
        network: network to train.
        geometry: windows of the model.
        shapes: shapes `(*spatial)` of the training images.

    Returns:
        Windows whose answer covers the shorter side of a quarter of the images, or the windows of the model if those are
        smaller or show whole images.
    """
    if geometry.method != "tile":
        return geometry
    planes, depths = [min(shape[-2:]) for shape in shapes], [shape[0] for shape in shapes]
    wanted = [float(np.percentile(of, 25, method="lower")) for of in (*[depths] * (geometry.axes - 2), planes, planes)]
    sides = [_covering(network, *both) for both in zip(geometry.input_shape, wanted, strict=True)]
    return replace(geometry, input_shape=tuple(sides), output_shape=network.output_shape(tuple(sides)))


def _covering(network: Network, side: int, wanted: float) -> int:
    """Smallest side of a window, at most `side`, whose answer has `wanted` px."""
    while (network.output_side(side - network.stride) or 0) >= max(wanted, _LEAST_ANSWER_PX):
        side -= network.stride
    return side


class WindowStream(Dataset["Item | SegError"]):
    """Windows `(C, *input_shape)` float32 with the targets and weights of their output windows.

    Targets are those of `Objective.target_window`; weights are `(*output_shape)` float32. The shapes are those of
    `geometry`.

    Item k depends only on the seed and k. A fraction `balance` of the windows is placed on a pixel of a class drawn
    uniformly among the classes of the image, so that rare classes occur often; the others are placed anywhere. A fraction
    `balance / 2` is taken from images with a class that most images lack (`scarce`: class -> indices of the cases that
    contain it).
    """

    def __init__(
        self, cases: Sequence[Case], objective: Objective, augmentation: Augmentation, seed: int, balance: float = 0.5,
        scarce: Mapping[int, Sequence[int]] | None = None, geometry: Geometry | None = None,
    ) -> None:  # fmt: skip
        """Set up the stream. Files are read when a window needs them. Without `geometry`, windows are those of the model."""
        self.cases, self.objective, self.contract = list(cases), objective, objective.contract
        self.geometry = geometry or self.contract.geometry
        self.augmentation, self.seed, self.balance = augmentation, seed, balance
        self.scarce = dict(scarce or {})
        self._kept: dict[int, _Framed] = {}
        self._room = _CACHE_BYTES

    def batches(self, first: int, last: int, size: int, workers: int = 0) -> Iterator[list[Tensor]]:
        """Yield windows `first` to `last` - 1 in batches: images, targets and weights, stacked along a new first axis.

        Args:
            first: index of the first window.
            last: index after the last window.
            size: windows per batch.
            workers: number of processes that prepare windows; 0 for none.

        Raises:
            SegError: if a case cannot be read.
        """
        loader = DataLoader(
            self, size, sampler=range(first, last), num_workers=workers, collate_fn=_collate,
            worker_init_fn=_ignore_ctrl_c,
            generator=torch.Generator(),  # a separate one, since the default generator is used by dropout
        )  # fmt: skip
        for batch in loader:
            if isinstance(batch, SegError):
                raise batch
            yield batch

    def __getitem__(self, index: int) -> Item | SegError:
        """Return window `index`, or a SegError as a value, because workers cannot raise it with its attributes."""
        try:
            return self._window(index)
        except SegError as error:
            return error

    def _window(self, index: int) -> Item:
        epoch, place = divmod(index, len(self.cases))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.cases))
        rng = np.random.default_rng([self.seed, epoch, place])
        case = self._framed(self._scarce_case(index) if self._wants_scarce(index) else int(order[place]))
        axes = self.geometry.axes
        change, centre = self.augmentation.draw(rng, axes), self._centre(case, rng)
        if len(centre) > axes:  # for a network of slices, the slice with the centre of the window
            case, centre = case.slice(round(float(centre[0]))), centre[1:]
        where = change.coordinates(centre, self.geometry.input_shape, self.objective.on_pixels)
        image = Normaliser.of(case.image, self.contract.input.intensity)(warp(case.image, where, 3))
        image = change.vary_grey(image)
        output_places = self._output_coordinates(where)
        weights = warp(case.weights[..., None], output_places, 0)[..., 0]
        return (
            torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, -1, 0))),
            torch.from_numpy(self.objective.target_window(case.truth, output_places)),
            torch.from_numpy(np.ascontiguousarray(weights)),
        )

    def _wants_scarce(self, index: int) -> bool:
        chance = np.random.default_rng([self.seed, index, 1]).random()
        return bool(self.scarce) and chance < self.balance / 2

    def _scarce_case(self, index: int) -> int:
        rng = np.random.default_rng([self.seed, index, 2])
        places = self.scarce[int(rng.choice(sorted(self.scarce)))]
        return int(rng.choice(places))

    def _framed(self, place: int) -> _Framed:
        if place in self._kept:
            return self._kept[place]
        case = self._read(place)
        size = case.image.nbytes + case.truth.nbytes + case.weights.nbytes
        if size <= self._room:
            self._kept[place], self._room = case, self._room - size
        return case

    def _read(self, place: int) -> _Framed:
        case, contract = self.cases[place], self.contract
        example = case.read(self.objective.classes)
        image = frame(fitted(example.image, contract, case.name), contract)
        labels = frame_labels(example.labels, contract)
        instances, known = (
            None if values is None else frame_labels(values, contract) for values in (example.instances, example.known)
        )
        truth, weights = self.objective.target(
            replace(example, image=image, labels=labels, instances=instances, known=known)
        )
        if known is not None:
            weights[~known] = 0
        return _Framed(image, truth, weights)

    def _centre(self, case: _Framed, rng: np.random.Generator) -> NDArray[np.float64]:
        shape = np.array(case.image.shape[:-1])
        axes = len(shape)
        anywhere: NDArray[np.float64]
        middle: NDArray[np.float64]
        anywhere, rare = rng.random(axes) * (shape - 1), rng.random() < self.balance
        if self.geometry.method != "tile":  # the window always shows the whole image, slightly shifted
            middle = (np.array(self._fixed_shape(case)) - 1) / 2
            middle += (rng.random(axes) - 0.5) * 2 * self.augmentation.shift * shape
            return middle
        if not rare or not self.objective.placed_by_class:
            return anywhere
        known = np.where(case.weights > 0, case.truth, _UNKNOWN) if (case.weights == 0).any() else case.truth
        present = np.flatnonzero(np.bincount(known.ravel(), minlength=_UNKNOWN + 1)[:_UNKNOWN])
        if not len(present):
            return anywhere
        pixels = np.flatnonzero(known.ravel() == rng.choice(present))
        hit = np.array(np.unravel_index(rng.choice(pixels), known.shape), np.float64)
        half = np.zeros(axes)
        half[-len(self.geometry.output_shape) :] = np.array(self.geometry.output_shape) / 2
        hit += rng.uniform(-half, half) * 0.75  # anywhere in the window, not always in its centre
        return hit

    def _fixed_shape(self, case: _Framed) -> tuple[int, ...]:
        """Part of the frame that the single window at run time covers; its output starts at the first pixel of the frame."""
        geometry = self.geometry
        return geometry.input_shape if geometry.method == "stretch" else geometry.output_shape

    def _output_coordinates(self, where: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coordinates `(A, *output_shape)` of the output pixels."""
        geometry = self.geometry
        for axis, (i, o) in enumerate(zip(geometry.input_shape, geometry.output_shape, strict=True), 1):
            places = (i - o) // 2 + np.arange(o)
            if geometry.method == "stretch":  # the output covers the whole resized image
                places = np.rint((np.arange(o) + 0.5) * i / o - 0.5).astype(int)
            where = where.take(places, axis=axis)
        return where
