"""Golden samples as export makes them: torch's own answers, values where they matter, and what goes into a file."""

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from seg_export.pictures import pictures
from seg_export.proof import Tolerance, generated, generated_images, golden_samples
from seg_export.proof.golden import COUNT, POSITIONS
from seg_runtime import Contract, Intensity
from seg_runtime.answers import answer_of
from seg_runtime.model import GOLDEN_KEY, ModelFile
from seg_runtime.model.golden import FP32_LIMIT, Golden
from seg_runtime.pipeline import Normaliser
from seg_runtime.support.errors import DataError
from seg_toolkit.networks import torch_infer

from tests.support.commands import ok, seg_export
from tests.support.contracts import changed


def kept(path) -> Golden:
    """The samples that a file carries."""
    content = ModelFile(path).take()
    contract = Contract.from_json(bytes(content.onnx.metadata["seg_edge.contract"]).decode())
    return Golden.from_text(content.onnx.metadata[GOLDEN_KEY], contract)


def brightness(window):
    """A network whose labels are mixed on any image: is a pixel brighter than the median of the answered middle?"""
    middle = window.mean(axis=1)[0, 92:-92, 92:-92]
    score = middle - np.median(middle)
    return np.stack([-score, score])[None]


@pytest.mark.parametrize("geometry", ["tile", "fit", "stretch"])
def test_answers_are_torchs_own(make_model, geometry):
    made = make_model(geometry=geometry)
    infer = torch_infer(made.net, torch.device("cpu"))
    samples = kept(made.path).samples
    assert len(samples) == COUNT
    for sample in samples:
        image, seen = sample.pixels.image(), []
        labels = answer_of(made.contract).segment(image, lambda w, seen=seen: seen.append(infer(w)) or seen[-1])
        assert len(seen) == 1  # one window
        assert np.array_equal(labels, sample.labels)
        assert sample.labels.shape == image.shape[:2] == (68, 68)
        assert len(sample.positions) == POSITIONS == len(set(sample.positions.tolist()))
        np.testing.assert_allclose(seen[0].ravel()[sample.positions], sample.logits, atol=1e-5)
        assert (sample.low, sample.high) == pytest.approx((seen[0].min(), seen[0].max()), abs=1e-5)


def test_close_pixels_are_those_that_an_error_within_the_limit_may_flip(make_model):
    made = make_model()
    wide = golden_samples(made.contract, brightness, tolerance=Tolerance(0.01))
    assert len(wide.samples) == COUNT
    for sample in wide.samples:
        seen = []
        answer_of(made.contract).segment(
            sample.pixels.image(), lambda w, seen=seen: seen.append(brightness(w)) or seen[-1]
        )
        logits = seen[0][0]
        assert np.array_equal(sample.close, answer_of(made.contract).margins(logits) <= 2 * 0.01 * np.ptp(logits))
        assert 0 < sample.close.mean() < 0.5
        error = 0.01 * np.ptp(logits) * np.random.default_rng(0).choice([-1, 1], logits.shape).astype(np.float32)
        flips = answer_of(made.contract).window(logits + error) != sample.labels
        assert flips.any()
        assert not (flips & ~sample.close).any()


def test_a_large_window_keeps_small_images_and_logits_of_all_of_it(make_model):
    contract = changed(make_model().contract, input_shape=(700, 700), output_shape=(516, 516))
    found = golden_samples(contract, brightness)
    samples = Golden.from_text(found.to_text(), contract).samples
    assert len(samples) == COUNT
    for sample in samples:
        assert sample.labels.shape == (388, 388)
        assert sample.positions.max() > 0.99 * 2 * 516 * 516


def test_text_and_back(make_model):
    made = make_model()
    samples = kept(made.path)
    again = Golden.from_text(samples.to_text().encode(), made.contract)
    for a, b in zip(samples.samples, again.samples, strict=True):
        for name in ("labels", "close", "positions", "logits"):
            assert np.array_equal(getattr(a, name), getattr(b, name))
        assert np.array_equal(a.pixels.image(), b.pixels.image())
        assert (a.low, a.high) == (b.low, b.high)
    assert samples.limit == again.limit == FP32_LIMIT


@pytest.mark.parametrize(
    ("intensity", "pixels", "host_dtype", "dtype"),
    [
        (Intensity("scale"), "integer", "", "uint8"),
        (Intensity("scale"), "integer", "uint16", "uint16"),
        (Intensity("zscore", std_floor=0.01), "float", "", "float32"),
        (Intensity("standardize", (0.05,), (0.02,)), "integer", "", "uint8"),
        (Intensity("standardize", (900.0,), (300.0,)), "float", "", "float32"),
        (Intensity("window", level=40, width=400), "float", "", "float32"),
        (Intensity("window", level=1000, width=800), "integer", "", "uint16"),
        (Intensity("window", level=100, width=80), "integer", "", "uint8"),
    ],
)
def test_generated_values_span_what_the_intensity_was_made_for(model, intensity, pixels, host_dtype, dtype):
    form = {"dtype": host_dtype} if host_dtype else {}
    contract = changed(model.contract, channels=1, intensity=intensity, pixels=pixels, **form)
    [values] = generated_images(contract, 1)
    image = generated(values, contract).image()
    assert image.dtype == dtype
    answer = Normaliser.of(image, intensity)(image)
    assert np.ptp(answer) > (0.5 if intensity.method in ("scale", "window") else 1.5)
    if intensity.method == "window":
        assert (answer == 0).any() or (answer == 1).any()  # it clips


def grey16(path, seed):
    values = np.random.default_rng(seed).integers(300, 900, (100, 90)).astype(np.uint16)
    Image.fromarray(values).save(path)
    return values


def test_crops_of_real_images(make_model, tmp_path):
    contract = make_model(channels=1).contract
    values = grey16(tmp_path / "a.png", 0)
    *_, sample = golden_samples(contract, brightness, pictures(tmp_path, contract)).samples
    pixels = sample.pixels
    middle = values[16:84, 11:79]
    assert pixels.dtype == "uint16"
    assert np.abs(pixels.image()[..., 0].astype(int) - middle).max() <= round(np.ptp(middle) / 255)
    host = changed(contract, dtype="uint8")
    with pytest.raises(DataError, match=r"a.png has uint16 grey values; expected uint8"):
        golden_samples(host, brightness, pictures(tmp_path, host))


def test_the_option_adds_real_crops_and_the_size_is_told(make_model, tmp_path):
    place = tmp_path / "pictures"
    place.mkdir()
    for i in range(3):
        grey16(place / f"{i}.png", i)
    target = tmp_path / "m.onnx"
    result = ok(seg_export(make_model(channels=1).checkpoint, target, "--golden", place))
    assert "MB, of which 0.0" in result.stdout
    assert "MB are golden samples" in result.stdout
    assert [s.pixels.dtype for s in kept(target).samples] == ["uint8", "uint8", "uint16", "uint16"]
    onnx.checker.check_model(onnx.load(target), full_check=True)


def test_mixed_samples_are_preferred(make_model):
    made = make_model()
    calls = []

    def moody(window):
        """Nearly all background in the first two images, mixed labels later."""
        calls.append(window)
        logits = brightness(window)
        if len(calls) <= 2:
            logits[:, 0] += 100
        return logits

    chosen = golden_samples(made.contract, moody).samples
    assert len(calls) >= 4
    assert [0.05 < (s.labels == 1).mean() < 0.95 for s in chosen] == [True] * COUNT
