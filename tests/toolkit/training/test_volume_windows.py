from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from seg_runtime.pipeline import Array, Grid, Normaliser
from seg_toolkit.data import NONE, Augmentation, Case, ClassValues, Example, warp
from seg_toolkit.training.windows import WindowStream

from tests.support.contracts import contract
from tests.support.streams import label_stream

SHAPE = (20, 28, 36)


@dataclass(frozen=True)
class Volume(Case):
    """Noise with a bright block in it, annotated in one slice of two."""

    name: str = "block"

    def image(self) -> Array:
        noise = np.random.default_rng(0).integers(0, 100, (*SHAPE, 1)).astype(np.uint8)
        noise[self.labels() > 0] += 100
        return noise

    def labels(self) -> np.ndarray:
        labels = np.zeros(SHAPE, np.uint8)
        labels[4:12, 8:20, 10:20] = 1
        return labels

    def values(self) -> dict[int, str]:
        return {0: self.name, 1: self.name}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        known = np.zeros(SHAPE, bool)
        known[::2] = True
        return Example(self.image(), self.labels(), known=known).checked(self.name)


HOW = contract((20, 28, 28), (12, 20, 20), stride=4)


def stream(how: Augmentation = NONE, balance: float = 0.0) -> WindowStream:
    return label_stream([Volume()], HOW, how, balance=balance)


def test_an_unchanged_window_of_a_volume_is_the_runtimes() -> None:
    image, how = Volume().image(), HOW
    grid, still = Grid.of(SHAPE, how.geometry), NONE.draw(np.random.default_rng(0), 3)
    middle = (np.array(how.geometry.output_shape) - 1) / 2
    for origin, expected in zip(grid.origins(), grid.windows(image, how.input.intensity), strict=True):
        where = still.coordinates(np.array(origin) + middle, how.geometry.input_shape)
        got = Normaliser.of(image, how.input.intensity)(warp(image, where, 3))
        np.testing.assert_allclose(np.moveaxis(got, -1, 0), expected[0], atol=1e-5)


def test_shapes_of_a_volume() -> None:
    image, truth, weights = stream(Augmentation())[0]
    assert (image.shape, truth.shape, weights.shape) == ((1, 20, 28, 28), (12, 20, 20), (12, 20, 20))


def test_slices_without_annotation_have_no_weight() -> None:
    weights = stream()[0][2].numpy()
    assert {float(plane.max()) for plane in weights} == {0.0, 1.0}
    assert all(plane.min() == plane.max() for plane in weights)


def test_balanced_windows_meet_the_rare_class() -> None:
    share = [np.mean([stream(balance=b)[k][1].numpy().mean() for k in range(12)]) for b in (0.0, 1.0)]
    assert share[1] > 1.3 * share[0]


def test_volumes_turn_within_their_slices_only() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        matrix = Augmentation().draw(rng, 3).matrix
        assert np.allclose(matrix[0, 1:], 0)
        assert np.allclose(matrix[1:, 0], 0)
