from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from seg_runtime.model.contract import Contract, Geometry
from seg_runtime.model.input import Intensity
from seg_runtime.pipeline import Grid, Normaliser, unframe
from seg_runtime.pipeline.geometry import frame, frame_labels
from seg_toolkit.data import NONE, Augmentation, Case, ClassValues, Example, read_mask, warp
from seg_toolkit.networks import NETWORKS
from seg_toolkit.training.windows import WindowStream, training_geometry

from tests.support.contracts import contract
from tests.support.folders import cases_of, write_pairs
from tests.support.images import put
from tests.support.streams import label_stream

GEOMETRIES = ["tile", "fit", "stretch"]


def stream(root: Path, how: Augmentation = NONE, border: float = 0.0, seed: int = 0, **of: Any) -> WindowStream:
    return label_stream(cases_of("pairs", root), contract(**of), how, border, seed)


class Middle:
    """Stands for a Generator whose every draw is the middle of its range."""

    def random(self, size: int | None = None) -> NDArray[np.float64] | float:
        return 0.5 if size is None else np.full(size, 0.5)


def centred(root: Path, **of: Any) -> WindowStream:
    """A stream whose windows are not shifted at random."""

    class Centred(WindowStream):
        def _centre(self, case: Any, rng: Any) -> NDArray[np.float64]:
            return super()._centre(case, Middle())  # type: ignore[arg-type]

    plain = stream(root, **of)
    return Centred(plain.cases, plain.objective, NONE, 0)


def runtime_windows(case: Case, how: Contract) -> list[NDArray[np.float32]]:
    image = frame(case.image(), how)
    return [w[0] for w in Grid.of(image.shape[:-1], how.geometry).windows(image, how.input.intensity)]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("intensity", [Intensity("scale"), Intensity("zscore", std_floor=0.01)], ids=lambda i: i.method)
def test_unchanged_window_is_the_runtimes_window(tmp_path: Path, geometry: str, intensity: Intensity) -> None:
    # 20 px high and wide: in `tile`, too, the one output window is the whole picture
    rng = np.random.default_rng(0)
    put(tmp_path / "images" / "a.png", rng.integers(0, 256, (20, 20), np.uint8))
    put(tmp_path / "masks" / "a.png", np.where(rng.random((20, 20)) < 0.5, 255, 0).astype(np.uint8))
    source = centred(tmp_path, method=geometry, intensity=intensity)
    (expected,) = runtime_windows(source.cases[0], source.contract)
    np.testing.assert_allclose(source[0][0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("geometry", ["fit", "stretch"])
def test_unchanged_window_of_a_wide_picture(tmp_path: Path, geometry: str) -> None:
    rng = np.random.default_rng(0)
    put(tmp_path / "images" / "a.png", rng.integers(0, 256, (33, 81), np.uint8))
    put(tmp_path / "masks" / "a.png", np.zeros((33, 81), np.uint8))
    source = centred(tmp_path, method=geometry)
    (expected,) = runtime_windows(source.cases[0], source.contract)
    np.testing.assert_allclose(source[0][0].numpy(), expected, atol=1e-5)


def test_unchanged_windows_of_a_tiled_picture_are_the_runtimes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (45, 61, 3), np.uint8)
    how = contract(channels=3)
    grid = Grid.of(image.shape[:2], how.geometry)
    still = NONE.draw(np.random.default_rng(0))
    middle = (np.array(how.geometry.output_shape) - 1) / 2
    normalise = Normaliser.of(image, how.input.intensity)
    assert len(grid.origins()) == 3 * 4
    for origin, expected in zip(grid.origins(), grid.windows(image, how.input.intensity), strict=True):
        got = normalise(warp(image, still.coordinates(origin + middle, (204, 204)), 3))
        np.testing.assert_allclose(np.moveaxis(got, -1, 0), expected[0], atol=1e-5)


def test_labels_of_a_tile_are_those_of_its_output_window(tmp_path: Path) -> None:
    mask = np.where(np.random.default_rng(0).random((20, 20)) < 0.5, 255, 0).astype(np.uint8)
    put(tmp_path / "images" / "a.png", mask)
    put(tmp_path / "masks" / "a.png", mask)
    np.testing.assert_array_equal(centred(tmp_path)[0][1].numpy(), mask // 255)


def test_labels_of_a_stretched_picture_are_the_squeezed_mask(tmp_path: Path) -> None:
    root = write_pairs(tmp_path, 1)
    source = centred(root, method="stretch")
    mask = (read_mask(root / "masks" / f"{source.cases[0].name}.png") > 0).astype(np.int64)
    squeezed = unframe(frame_labels(mask, source.contract), (20, 20))
    np.testing.assert_array_equal(source[0][1].numpy(), squeezed)


def test_labels_of_a_fitted_picture_are_the_fitted_mask(tmp_path: Path) -> None:
    root = write_pairs(tmp_path, 1)  # square: it fills the output window
    source = centred(root, method="fit")
    mask = (read_mask(root / "masks" / f"{source.cases[0].name}.png") > 0).astype(np.int64)
    np.testing.assert_array_equal(source[0][1].numpy(), frame_labels(mask, source.contract))


def test_an_objective_sees_the_annotation_framed_like_the_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class HalfKnown(Case):
        """A white picture whose left half is annotated."""

        name: str = "half"

        def image(self) -> NDArray[np.uint8]:
            return np.full((40, 60, 1), 255, np.uint8)

        def values(self) -> dict[int, str]:
            return {0: self.name, 1: self.name}

        def read(self, classes: Sequence[ClassValues]) -> Example:
            known = np.zeros((40, 60), bool)
            known[:, :30] = True
            return Example(self.image(), np.ones((40, 60), np.uint8), known=known)

    windows = label_stream([HalfKnown()], contract(method="stretch"))
    seen: list[Example] = []
    target = windows.objective.target
    monkeypatch.setattr(windows.objective, "target", lambda example: (seen.append(example), target(example))[1])
    weights = windows[0][2].numpy()
    assert seen[0].known is not None
    assert seen[0].known.shape == seen[0].labels.shape != (40, 60)
    assert weights[:, :9].all()
    assert not weights[:, 11:].any()


def test_shapes_and_dtypes(tmp_path: Path) -> None:
    image, labels, weights = stream(write_pairs(tmp_path), Augmentation(), channels=3)[0]
    assert (image.shape, image.dtype) == ((3, 204, 204), torch.float32)
    assert (labels.shape, labels.dtype) == ((20, 20), torch.int64)
    assert (weights.shape, weights.dtype) == ((20, 20), torch.float32)


def loaded(source: WindowStream, workers: int) -> list[torch.Tensor]:
    return [part for batch in source.batches(0, 8, 2, workers) for part in batch]


@pytest.mark.parametrize("workers", [1, 2])
def test_stream_is_the_same_whatever_the_number_of_workers(cells: Path, workers: int) -> None:
    one = loaded(stream(cells, Augmentation(), border=10.0), 0)
    other = loaded(stream(cells, Augmentation(), border=10.0), workers)
    assert len(one) == len(other) == 12
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_stream_does_not_depend_on_where_it_is_entered(tmp_path: Path) -> None:
    source = stream(write_pairs(tmp_path), Augmentation())
    later = source[5][0]
    assert torch.equal(stream(tmp_path, Augmentation())[5][0], later)


def test_another_seed_gives_another_stream(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    assert not torch.equal(
        stream(tmp_path, Augmentation(), seed=0)[0][0], stream(tmp_path, Augmentation(), seed=1)[0][0]
    )


def test_every_image_is_met_once_per_pass(tmp_path: Path) -> None:
    for grey in range(4):
        put(tmp_path / "images" / f"{grey}.png", np.full((30, 30), 51 * grey, np.uint8))
        put(tmp_path / "masks" / f"{grey}.png", np.zeros((30, 30), np.uint8))
    source = stream(tmp_path)
    for first in (0, 4, 8):
        greys = [round(float(source[first + i][0].mean()) * 5) for i in range(4)]
        assert sorted(greys) == [0, 1, 2, 3]


def test_labels_move_with_the_image(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:90, :90]
    mask = np.where((rows // 18 + columns // 18) % 2, 255, 0).astype(np.uint8)
    put(tmp_path / "images" / "a.png", mask)
    put(tmp_path / "masks" / "a.png", mask)
    quiet = Augmentation(contrast=0, brightness=0, gamma=0, colour=0, noise=0)
    source = stream(tmp_path, quiet)
    same = [((source[k][0][0, 92:112, 92:112] > 0.5) == (source[k][1] == 1)).float().mean() for k in range(6)]
    assert np.mean(same) > 0.97


def test_a_rare_class_is_met_often(tmp_path: Path) -> None:
    mask = np.zeros((400, 400), np.uint8)
    mask[100:106, 300:306] = 255  # 0.02 % of the pixels, in 0.5 % of random output windows
    put(tmp_path / "images" / "a.png", mask)
    put(tmp_path / "masks" / "a.png", mask)
    source = stream(tmp_path)
    met = sum(bool(source[k][1].any()) for k in range(60))
    assert met >= 8  # a quarter of the windows is drawn around it


def test_weights_hold_the_border_between_instances(tmp_path: Path) -> None:
    cells = np.zeros((20, 20), np.uint16)
    cells[:, :9], cells[:, 10:] = 1, 2
    put(tmp_path / "images" / "a.png", (cells > 0).astype(np.uint8) * np.uint8(200))
    put(tmp_path / "instances" / "a.png", cells)
    source = stream(tmp_path, border=10.0)
    seen = torch.cat([source[k][2].ravel() for k in range(4)])
    assert set(np.round(seen.unique().numpy(), 3)) == {1.0, np.round(np.float32(1 + 9.231163), 3)}


def test_batches_count_from_a_given_window(tmp_path: Path) -> None:
    source = stream(write_pairs(tmp_path))
    images = [image for batch in source.batches(3, 7, 2) for image in batch[0]]
    assert len(images) == 4
    assert all(torch.equal(image, source[place][0]) for place, image in enumerate(images, 3))  # type: ignore[index]


def test_classes_that_most_images_lack_are_met_often(tmp_path: Path) -> None:
    root = write_pairs(tmp_path, 10)
    plain = stream(root)
    scarce = label_stream(plain.cases, plain.contract, scarce={1: [7]})
    met = [scarce._scarce_case(k) for k in range(400) if scarce._wants_scarce(k)]
    assert set(met) == {7}
    assert 0.15 < len(met) / 400 < 0.35  # half of the balanced half
    assert not any(plain._wants_scarce(k) for k in range(100))


PLANE, BOX = Geometry((572, 572), (388, 388)), Geometry((116, 116, 116), (28, 28, 28), stride=8)


@pytest.mark.parametrize(
    ("shapes", "side"),
    [
        ([(256, 256)] * 4, 444),  # answers for 260 px; 428 px would for 244
        ([(320, 256), (256, 320)], 444),  # the shorter side
        ([(260, 260)], 444),
        ([(261, 900)], 460),
        ([(256, 256)] * 2 + [(1000, 1000)] * 6, 444),  # a quarter of the images
        ([(256, 256)] + [(1000, 1000)] * 7, 572),
        ([(30, 30)], 316),  # answers for 132 px, since a batch of fewer px teaches less
        ([(388, 388)], 572),
        ([(7, 300, 300)], 492),  # slices of a volume
    ],
)
def test_training_windows_are_no_larger_than_the_images(shapes: list[tuple[int, ...]], side: int) -> None:
    network = NETWORKS.get("unet", "")(width=1)
    found = training_geometry(network, PLANE, shapes)
    assert found == Geometry((side, side), (side - 184, side - 184))


def test_training_windows_of_a_volume_follow_its_depth_and_its_plane() -> None:
    network = NETWORKS.get("unet3d", "")(width=1)
    large = Geometry((260, 260, 260), network.output_shape((260, 260, 260)), stride=network.stride)
    found = training_geometry(network, large, [(140, 155, 300)])
    assert found.input_shape == (228, 244, 244)
    assert found.output_shape == (140, 156, 156)
    assert training_geometry(network, BOX, [(8, 8, 8)]) == BOX  # small enough


@pytest.mark.parametrize("method", ["fit", "stretch"])
def test_windows_that_show_whole_images_stay_as_they_are(method: str) -> None:
    whole = Geometry((572, 572), (388, 388), method)
    assert training_geometry(NETWORKS.get("unet", "")(width=1), whole, [(100, 100)]) == whole


def test_a_smaller_window_has_the_same_answer() -> None:
    network = NETWORKS.get("unet", "")(width=4, in_channels=1).eval()
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 348, 348)).astype(np.float32))
    with torch.no_grad():
        large, small = network(image), network(image[..., 16:332, 16:332])
    torch.testing.assert_close(large[..., 16:148, 16:148], small)


def test_windows_of_a_stream_have_the_shape_that_it_is_given(tmp_path: Path) -> None:
    plain = stream(write_pairs(tmp_path))
    small = WindowStream(plain.cases, plain.objective, NONE, 0, geometry=Geometry((316, 316), (132, 132)))
    image, target, weights = small[0]  # type: ignore[misc]
    assert image.shape == (1, 316, 316)
    assert target.shape == weights.shape == (132, 132)
