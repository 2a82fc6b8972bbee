from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from seg_export.options import ExportOptions
from seg_export.pipeline import export
from seg_export.steps.hostready.corridor import Corridor
from seg_export.steps.hostready.step import sizes
from seg_runtime import ImageError, Intensity, ModelError, SegError, Segmenter
from seg_runtime.model.contract import METADATA_KEY, Contract
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import ParityError
from seg_toolkit.checkpoints import load

from tests.support.commands import ok, seg_export, seg_run
from tests.support.contracts import changed
from tests.support.images import noise_image
from tests.support.models import HOST_READY, Made, MakeModel

SCALE, ZSCORE = Intensity("scale"), Intensity("zscore", std_floor=0.01)
STANDARDIZE = Intensity("standardize", (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))
WINDOW = Intensity("window", level=90.0, width=120.0)
SIZES = [(1, 1), (3, 50), (68, 68), (69, 63), (67, 1), (200, 131), (140, 301), (64, 65)]  # an output window has 68 px

FORMS = [
    ("uint8", {}),
    ("uint8", {"intensity": ZSCORE}),
    ("uint8", {"intensity": STANDARDIZE, "classes": 3}),
    ("uint8", {"intensity": WINDOW, "classes": 3, "decision": "threshold"}),
    ("uint8", {"skip": "resize"}),
    ("uint16", {"intensity": ZSCORE, "channels": 1}),
    ("float32", {"intensity": ZSCORE, "channels": 1, "pixels": "float"}),
    ("uint8", {"geometry": "fit", "intensity": ZSCORE}),
    ("uint16", {"geometry": "fit"}),
    ("uint8", {"geometry": "stretch", "intensity": STANDARDIZE}),
]


def pictures(dtype: str, channels: int) -> Iterator[Array]:
    for height, width in SIZES:
        image = noise_image(height, width, channels, height, "uint8" if dtype == "uint8" else "uint16")
        yield (image / 65535).astype(np.float32) if dtype == "float32" else image


@pytest.mark.parametrize(("dtype", "model"), FORMS, ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v)))
def test_labels_equal_those_of_the_python_runtime_on_every_pixel(
    make_model: MakeModel, dtype: str, model: dict[str, object]
) -> None:
    ours, host = (
        make_model(**model),
        make_model(**model, options=ExportOptions(host_ready=True, host_dtype=dtype, host_probabilities=True)),
    )
    with Segmenter(ours.path, provider="cpu") as python, Segmenter(host.path, provider="cpu") as whole:
        seen = set()
        for image in pictures(dtype, ours.contract.input.channels):
            wanted, got = python(image, probabilities=True), whole(image, probabilities=True)
            assert got.labels.dtype == np.uint8
            np.testing.assert_array_equal(got.labels, wanted.labels)
            np.testing.assert_allclose(got.probabilities, wanted.probabilities, atol=1e-5)
            seen.update(np.unique(wanted.labels).tolist())
        assert len(seen) > 1  # labels that are all alike would prove nothing


class CancelledError(Exception):
    """The user pressed Cancel."""


@pytest.mark.parametrize("geometry", ["tile", "fit"])
def test_progress_is_told_of_each_window_and_can_end_the_run(make_model: MakeModel, geometry: str) -> None:
    image = noise_image(140, 301)
    wanted = [(done, 15) for done in range(1, 16)] if geometry == "tile" else [(1, 1)]
    with Segmenter(make_model(geometry=geometry, options=HOST_READY).path, provider="cpu") as segmenter:
        seen: list[tuple[int, int]] = []
        segmenter(image, progress=lambda *numbers: seen.append(numbers))
        assert seen == wanted

        def cancel(done: int, total: int) -> None:
            seen.append((done, total))
            raise CancelledError

        seen.clear()
        with pytest.raises(CancelledError):
            segmenter(image, progress=cancel)
        assert seen == wanted[:1]


@pytest.mark.parametrize("geometry", ["tile", "fit", "stretch"])
def test_a_host_needs_no_more_than_origin_and_statistics(make_model: MakeModel, geometry: str) -> None:
    made = make_model(geometry=geometry, intensity=ZSCORE, options=HOST_READY)
    session = onnxruntime.InferenceSession(made.path, providers=["CPUExecutionProvider"])
    with Segmenter(made.path, provider="cpu") as segmenter:
        for image in pictures("uint8", 3):
            labels, steps = np.full(image.shape[:2], 255, np.uint8), []
            origin, statistics = np.zeros(2, np.int64), np.empty((0, 3), np.float32)
            kept = []
            while origin[0] >= 0:
                feeds = {"image": image, "origin": origin, "statistics": statistics}
                row, column = origin
                part, origin, statistics, progress = session.run(
                    ["labels", "next_origin", "next_statistics", "progress"], feeds
                )
                place = slice(row, row + part.shape[0]), slice(column, column + part.shape[1])
                assert (labels[place] == 255).all()  # parts do not overlap
                labels[place] = part
                steps.append(progress.tolist())
                kept.append(statistics)
            assert steps == [[i + 1, len(steps)] for i in range(len(steps))]
            assert all((k == kept[0]).all() for k in kept)
            assert (labels == segmenter(image).labels).all()


def operators(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from operators(attribute.g)


def test_the_graph_has_standard_operators_only_and_says_what_it_is(make_model: MakeModel) -> None:
    made = make_model(options=HOST_READY)
    model = onnx.load(made.path)
    assert {node.domain for node in operators(model.graph)} == {""}
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)]
    assert "Conv" in {node.op_type for node in operators(model.graph)}
    contract = Contract.from_json({p.key: p.value for p in model.metadata_props}[METADATA_KEY])
    assert (contract.file.kind, contract.file.dtype) == ("host-ready", "uint8")
    assert contract.parity["host_ready"]["differing"] == 0
    assert contract.parity["host_ready"]["pixels"] > 20_000
    assert contract.parity["holds"]


def test_the_weights_are_not_stored_twice(make_model: MakeModel) -> None:
    graphs = [onnx.load(made.path).graph.ByteSize() for made in (make_model(options=HOST_READY), make_model())]
    assert 0 < graphs[0] - graphs[1] < 40_000


def test_a_cast_that_would_change_grey_values_is_refused(make_model: MakeModel, tmp_path: Path) -> None:
    from PIL import Image

    made = make_model(intensity=Intensity("window", level=1500.0, width=3000.0), channels=1)
    (tmp_path / "images").mkdir()
    Image.fromarray(noise_image(90, 90, 1, dtype="uint16")[..., 0]).save(tmp_path / "images" / "a.png")
    words = [str(made.checkpoint), str(tmp_path / "m.onnx"), "--host-ready", "--images", str(tmp_path)]
    done = seg_export(*words)
    assert done.exit_code == 1
    assert "--host-dtype uint16" in done.output
    assert not (tmp_path / "m.onnx").exists()
    ok(seg_export(*words, "--host-dtype", "uint16"))


def test_compared_sizes_hold_the_treacherous_ones(model: Made) -> None:
    found = sizes(model.contract)
    assert (1, 1) in found
    assert any(h == 69 for h, w in found)
    assert any(h != w for h, w in found)


def test_a_wrong_graph_is_refused_and_the_older_file_stays(
    model: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Corridor.mirror_index
    monkeypatch.setattr(
        Corridor, "mirror_index", lambda b, start, n, size: right(b, b("Add", start, b.integer(1)), n, size)
    )
    target = tmp_path / "host.onnx"
    target.write_bytes(b"older")
    done = seg_export(model.checkpoint, target, "--host-ready")
    assert done.exit_code == ParityError.exit_code
    assert "px differ between the host-ready form and the runtime" in done.output
    assert target.read_bytes() == b"older"


def test_seg_run_gives_the_same_mask_from_either_form(make_model: MakeModel, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(noise_image(150, 90)).save(tmp_path / "a.png")
    for name, made in (("window", make_model()), ("host", make_model(options=HOST_READY))):
        words = [str(tmp_path / "a.png"), "--model", str(made.path), "--out", str(tmp_path / name), "--provider", "cpu"]
        ok(seg_run(*words))
    masks = [(tmp_path / name / "a_mask.png").read_bytes() for name in ("window", "host")]
    assert masks[0] == masks[1]


def test_another_dtype_is_refused_with_the_option_that_helps(make_model: MakeModel) -> None:
    with (
        Segmenter(make_model(options=HOST_READY).path, provider="cpu") as segmenter,
        pytest.raises(ImageError, match="--host-dtype uint16"),
    ):
        segmenter(noise_image(20, 20, dtype="uint16"))


def test_probabilities_that_the_file_does_not_give_are_refused(make_model: MakeModel) -> None:
    with Segmenter(make_model(options=HOST_READY).path, provider="cpu") as segmenter:
        image = noise_image(20, 20)
        with pytest.raises(ModelError, match="--host-probabilities"):
            segmenter(image, probabilities=True)
        with pytest.raises(ModelError, match="--host-probabilities"):
            _ = segmenter(image).probabilities


@pytest.mark.parametrize(
    ("change", "dtype", "words"),
    [
        ({}, "float32", "images of the kind that the model was trained on"),
        ({"pixels": "float"}, "uint8", "images of the kind that the model was trained on"),
        ({"pixels": "float", "method": "fit"}, "float32", "exact in every program"),
    ],
)
def test_a_form_that_could_not_be_exact_is_refused(model: Made, change: dict[str, str], dtype: str, words: str) -> None:
    checkpoint = load(model.checkpoint)
    checkpoint.contract = changed(checkpoint.contract, **change)
    with pytest.raises(SegError, match=words):
        export(checkpoint, ExportOptions(host_ready=True, host_dtype=dtype))


def test_host_options_without_host_ready_are_noted(model: Made, tmp_path: Path) -> None:
    done = ok(seg_export(model.checkpoint, tmp_path / "m.onnx", "--host-dtype", "uint16", "--host-probabilities"))
    for option in ("--host-dtype", "--host-probabilities"):
        assert f"note: only host-ready files take whole images, so {option} is ignored\n" in done.stderr
    assert (tmp_path / "m.onnx").read_bytes() == model.path.read_bytes()
