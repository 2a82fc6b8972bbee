from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from seg_runtime import Contract, ImageError, Intensity, SegError, Segmenter
from seg_runtime.answers import answer_of
from seg_runtime.engine.session import Session
from seg_runtime.pipeline import Array, Float, Grid, mirror_index, window_logits

from tests.support.images import noise_image
from tests.support.models import CPU, Made, MakeModel
from tests.support.pictures import tiff

SIZES = [(1, 1), (100, 70), (389, 388), (773, 500)]


def padded_window(image: Array) -> Float:
    """The whole image at once, mirrored from -92 on, to the next valid size 16k + 60: `(1, C, h, w)`."""
    for axis in (0, 1):
        size = image.shape[axis]
        length = -(-(size + 184 - 60) // 16) * 16 + 60
        image = image.take(mirror_index(-92, length, size), axis=axis)
    return np.ascontiguousarray((image.astype(np.float32) * np.float32(1 / 255)).transpose(2, 0, 1)[None])


def one_pass(made: Made, image: Array) -> Float:
    return made.torch_run(padded_window(image))[0, :, : image.shape[0], : image.shape[1]]


def tiled(image: Array, grid: Grid, answers: Iterable[Float]) -> Float:
    return grid.stitch(answers, np.full((2, *image.shape[:2]), np.nan, np.float32))


@pytest.fixture(scope="module")
def paper(make_model: MakeModel) -> Made:
    """The paper's window, 572 -> 388."""
    return make_model(input_size=572)


@pytest.fixture(scope="module")
def paper_session(paper: Made) -> Session:
    return Session(paper.path, CPU)


def assert_same_labels(labels: Array, logits: Float, wanted: Float, contract: Contract) -> None:
    """Labels equal the reference's, but for a handful of pixels whose two classes tie within float32 rounding."""
    undecided = answer_of(contract).margins(wanted) <= 2 * np.abs(logits - wanted).max()
    assert undecided.mean() < 1e-4
    np.testing.assert_array_equal(labels[~undecided], answer_of(contract).window(wanted)[~undecided])


@pytest.mark.parametrize("size", SIZES)
def test_tiling_equals_one_pass_over_the_whole_image(
    paper: Made, paper_session: Session, size: tuple[int, int]
) -> None:
    image = noise_image(*size, seed=5)
    logits = tiled(image, *window_logits(image, paper.contract, paper_session.run))
    wanted = one_pass(paper, image)
    assert np.abs(logits - wanted).max() < 1e-5 * np.ptp(wanted)
    np.testing.assert_array_equal(
        answer_of(paper.contract).segment(image, paper_session.run), answer_of(paper.contract).window(wanted)
    )


def test_both_classes_occur(paper: Made) -> None:
    share = answer_of(paper.contract).window(one_pass(paper, noise_image(773, 500, seed=5))).mean()
    assert 0.1 < share < 0.9


def step_in_float64(made: Made, image: Array, step: int) -> tuple[Float, Float]:
    """Tiled and one-pass logits of the torch network in float64."""
    net = type(made.net)(**made.net.arguments).eval()
    net.load_state_dict(made.net.state_dict())
    net.double()

    def run(window: Float) -> Float:
        with torch.inference_mode():
            return net(torch.from_numpy(window.astype(np.float64))).numpy()

    grid = replace(Grid.of(image.shape[:2], made.contract.geometry), step=(step, step))
    pieces = (run(w)[0] for w in grid.windows(image, made.contract.input.intensity))
    answer = grid.stitch(pieces, np.full((2, *image.shape[:2]), np.nan))
    return answer, run(padded_window(image))[0, :, : image.shape[0], : image.shape[1]]


def test_a_step_of_388_is_seen_to_differ(paper: Made) -> None:
    answer, wanted = step_in_float64(paper, noise_image(500, 773, seed=5), 388)
    flipped = (answer.argmax(0) != wanted.argmax(0))[:, 388:].mean()
    assert flipped > 0.01
    np.testing.assert_allclose(answer[:, :388, :388], wanted[:, :388, :388], atol=1e-12)  # the first window is right


def test_with_the_resize_skip_the_windows_are_the_definition(make_model: MakeModel) -> None:
    made = make_model(skip="resize", input_size=572)
    image = noise_image(500, 389, seed=5)
    session = Session(made.path, CPU)
    logits = tiled(image, *window_logits(image, made.contract, session.run))
    wanted = tiled(image, *window_logits(image, made.contract, made.torch_run))
    assert np.abs(logits - wanted).max() < 2e-4  # bilinear weights are rounded otherwise than torch's
    assert_same_labels(answer_of(made.contract).window(logits), logits, wanted, made.contract)


def test_with_the_resize_skip_one_pass_would_differ(make_model: MakeModel) -> None:
    made = make_model(skip="resize", input_size=572)
    image = noise_image(500, 389, seed=5)
    logits = tiled(image, *window_logits(image, made.contract, made.torch_run))
    assert np.abs(logits - one_pass(made, image)).max() > 1e-3


@pytest.mark.parametrize("geometry", ["tile", "fit", "stretch"])
@pytest.mark.parametrize(("classes", "decision"), [(2, "argmax"), (3, "argmax"), (3, "threshold")])
def test_labels_are_what_the_probabilities_say(
    make_model: MakeModel, geometry: str, classes: int, decision: str
) -> None:
    made = make_model(geometry=geometry, classes=classes, decision=decision)
    result = Segmenter(made.path, provider="cpu")(noise_image(131, 90), probabilities=True)
    scores = result.probabilities
    assert scores.shape == (classes, 131, 90)
    assert scores.dtype == np.float32
    assert 0 <= scores.min() <= scores.max() <= 1
    assert len(np.unique(result.labels)) == classes
    best = scores.argmax(axis=0)
    if decision == "threshold":
        best = np.where(scores[1:].max(axis=0) >= 0.5, 1 + scores[1:].argmax(axis=0), 0)
    else:
        np.testing.assert_allclose(scores.sum(axis=0), 1, rtol=1e-6)
    np.testing.assert_array_equal(result.labels, best)


@pytest.mark.parametrize("geometry", ["tile", "fit", "stretch"])
def test_probabilities_on_demand_equal_those_at_once(make_model: MakeModel, geometry: str) -> None:
    segmenter = Segmenter(make_model(geometry=geometry).path, provider="cpu")
    image = noise_image(70, 133)
    later, at_once = segmenter(image), segmenter(image, probabilities=True)
    np.testing.assert_array_equal(later.labels, at_once.labels)
    np.testing.assert_array_equal(later.probabilities, at_once.probabilities)


@pytest.mark.parametrize("geometry", ["fit", "stretch"])
def test_fit_and_stretch_run_one_window(make_model: MakeModel, geometry: str) -> None:
    seen: list[tuple[int, int]] = []
    Segmenter(make_model(geometry=geometry).path, provider="cpu")(
        noise_image(300, 200), progress=lambda *at: seen.append(at)
    )
    assert seen == [(1, 1)]


def test_fit_is_the_network_on_the_resized_mirrored_image(make_model: MakeModel) -> None:
    made = make_model(geometry="fit")
    image = noise_image(136, 68)  # twice and once the output window: it becomes 68×34
    planes = [Image.fromarray(image[..., c]).resize((34, 68), Image.Resampling.BICUBIC) for c in range(3)]
    small = np.stack([np.asarray(p) for p in planes], -1)
    wanted = one_pass(made, small).argmax(0)
    labels = Segmenter(made.path, provider="cpu")(image).labels
    np.testing.assert_array_equal(labels, wanted.repeat(2, 0).repeat(2, 1))


def test_stretch_lays_the_centre_over_the_whole_image(make_model: MakeModel) -> None:
    made = make_model(geometry="stretch")
    image = noise_image(252, 252)  # needs no squeezing
    centre = made.torch_run(image.astype(np.float32).transpose(2, 0, 1)[None] / np.float32(255))[0].argmax(0)
    labels = Segmenter(made.path, provider="cpu")(image).labels
    at = (2 * np.arange(252) + 1) * 68 // 504
    np.testing.assert_array_equal(labels, centre[at][:, at])


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (68, 68), (69, 2), (200, 133)])
@pytest.mark.parametrize("geometry", ["tile", "fit", "stretch"])
def test_labels_have_the_images_own_size(make_model: MakeModel, geometry: str, shape: tuple[int, int]) -> None:
    labels = Segmenter(make_model(geometry=geometry).path, provider="cpu")(noise_image(*shape)).labels
    assert labels.shape == shape
    assert labels.dtype == np.uint8


def test_path_pil_and_array_are_one_image(model_file: Path, tmp_path: Path) -> None:
    image = noise_image(80, 75)
    Image.fromarray(image).save(tmp_path / "a.png")
    segmenter = Segmenter(model_file, provider="cpu")
    wanted = segmenter(image).labels
    for other in (tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(image)):
        np.testing.assert_array_equal(segmenter(other).labels, wanted)


def test_grey_16_bit_and_its_8_bit_copy_are_segmented_alike(make_model: MakeModel) -> None:
    segmenter = Segmenter(make_model(channels=1).path, provider="cpu")
    image = noise_image(80, 75, 1)
    deep = image[..., 0].astype(np.uint16) * 257
    assert (segmenter(deep).labels == segmenter(image).labels).mean() > 0.9999


def test_zscore_ignores_exposure(make_model: MakeModel) -> None:
    segmenter = Segmenter(make_model(channels=1, intensity=Intensity("zscore", std_floor=1e-3)).path, provider="cpu")
    image = noise_image(80, 75, 1, dtype="uint16") // 16
    assert (segmenter(image).labels == segmenter(image * np.uint16(10)).labels).mean() > 0.999


def test_eight_threads_on_one_segmenter(model_file: Path) -> None:
    images = [noise_image(130, 100, seed=s) for s in range(8)]
    with Segmenter(model_file, provider="cpu", threads=1) as segmenter, ThreadPoolExecutor(8) as pool:
        alone = [segmenter(image).labels for image in images]
        together = list(pool.map(lambda image: segmenter(image).labels, images * 3))
    for got, wanted in zip(together, alone * 3, strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_closed_means_closed(model_file: Path) -> None:
    with Segmenter(model_file, provider="cpu") as segmenter:
        pass
    with pytest.raises(SegError, match="closed"):
        segmenter(noise_image(4, 4))


def test_pages_of_a_stack(model_file: Path, tmp_path: Path) -> None:
    stack = [noise_image(20 + i, 30, seed=i) for i in range(3)]
    (tmp_path / "stack.tif").write_bytes(tiff(stack))
    segmenter = Segmenter(model_file, provider="cpu")
    results = list(segmenter.pages(tmp_path / "stack.tif"))
    for result, page in zip(results, stack, strict=True):
        np.testing.assert_array_equal(result.labels, segmenter(page).labels)
    with pytest.raises(ImageError, match="several pages"):
        segmenter(tmp_path / "stack.tif")


def test_the_digest_in_the_record_is_that_of_the_file(model_file: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(noise_image(5, 5)).save(file, "PNG")
    path = model_file.with_name("digest.png")
    path.write_bytes(file.getvalue())
    record = Segmenter(model_file, provider="cpu")(path).record
    assert record["input"]["sha256"] == hashlib.sha256(file.getvalue()).hexdigest()


def test_an_image_that_does_not_fit_is_refused(make_model: MakeModel) -> None:
    segmenter = Segmenter(make_model(channels=1).path, provider="cpu")
    with pytest.raises(ImageError, match="in colour"):
        segmenter(noise_image(5, 5))


def test_max_pixels(model_file: Path, tmp_path: Path) -> None:
    Image.fromarray(noise_image(10, 10)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="100 px"):
        Segmenter(model_file, provider="cpu")(tmp_path / "a.png", max_pixels=99)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_in_another_unit_are_refused_instead_of_guessed(make_model: MakeModel, dtype: type) -> None:
    with pytest.raises(ImageError, match="uint8 or uint16, like the training images"):
        Segmenter(make_model().path, provider="cpu")((noise_image(20, 30) / 255).astype(dtype))


def test_the_record_says_it_all(model: Made, tmp_path: Path) -> None:
    path = tmp_path / "field 1.png"
    Image.fromarray(noise_image(70, 50)).save(path)
    result = Segmenter(model.path, provider="cpu")(path)
    record = result.record
    assert record["input"] == {
        "name": "field 1.png", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "height": 70, "width": 50, "channels": 3, "dtype": "uint8",
    }  # fmt: skip
    assert record["model"]["sha256"] == hashlib.sha256(model.path.read_bytes()).hexdigest()
    assert record["provider"] == {"asked": "cpu", "used": "cpu", "fast_math": False}
    assert record["versions"]["onnxruntime"] == onnxruntime.__version__
    cells = int(result.labels.sum())
    assert 0 < cells < 3500
    assert [c["pixels"] for c in record["classes"]] == [3500 - cells, cells]
    assert [c["share"] for c in record["classes"]] == [(3500 - cells) / 3500, cells / 3500]
    assert [c["name"] for c in record["classes"]] == ["class 0", "class 1"]
    assert set(record["ms"]) >= {"decode", "preprocess", "inference", "postprocess"}
    assert all(v >= 0 for v in record["ms"].values())


def test_the_record_is_json(model: Made) -> None:
    record = Segmenter(model.path, provider="cpu")(noise_image(5, 5)).record
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_the_record_tells_16_bits_without_an_opaque_alpha(model: Made) -> None:
    image = np.full((3, 4, 4), 65535, np.uint16)
    told = Segmenter(model.path, provider="cpu")(image).record["input"]
    assert (told["dtype"], told["channels"], told["height"], told["width"]) == ("uint16", 3, 3, 4)
