from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import Result
from PIL import Image
from seg_export.options import ExportOptions
from seg_runtime import ImageError, Segmenter
from seg_runtime.cli.arguments import RunOptions
from seg_runtime.cli.rules import MODEL_RULES, Loaded
from seg_runtime.engine import PROVIDERS
from seg_runtime.support import check

from tests.support.commands import errors, in_a_process, ok, seg_edge, seg_run
from tests.support.damage import breaking_model
from tests.support.folders import listing
from tests.support.images import noise_image, picture
from tests.support.models import Made, MakeModel
from tests.support.pictures import png_header_only, tiff
from tests.support.wheels import fake_wheel, no_cuda


def test_a_mask_and_a_record(model_file: Path) -> None:
    result = ok(seg_run("--model", model_file, "--out", "out", picture("a.png")))
    assert listing() == ["a.json", "a_mask.png", "a_overlay.png"]
    assert result.stdout.splitlines()[-2:] == [
        "1 segmented; results in out", "pixel values of masks: 0 class 0, 1 class 1"
    ]  # fmt: skip
    used = json.loads(Path("out/a.json").read_bytes())["provider"]["used"]
    assert f"provider: {used} (" in result.stderr


def test_the_masks_pixel_values_are_the_labels(model: Made) -> None:
    seg_run("--model", model.path, "--provider", "cpu", picture("a.png", height=90, width=80))
    wanted = Segmenter(model.path, provider="cpu")("a.png").labels
    assert set(wanted.ravel().tolist()) == {0, 1}
    with Image.open("a_mask.png") as mask:
        assert mask.mode == "L"
        np.testing.assert_array_equal(np.asarray(mask), wanted)
    seg_run("--model", model.path, "--provider", "cpu", "--palette", "a.png")
    with Image.open("a_mask.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), wanted)
        assert (
            mask.convert("RGB").getpixel(tuple(np.argwhere(wanted.T == 1)[0].tolist()))
            == model.contract.classes[1].color
        )
    assert list(json.loads(Path("a.json").read_bytes())["outputs"]) == ["mask_palette", "overlay"]


def test_overlay_and_probabilities(model_file: Path) -> None:
    seg_run("--model", model_file, "--out", "out", "--overlay", "--probabilities", "npy", picture("a.png"))
    assert listing() == ["a.json", "a_mask.png", "a_overlay.png", "a_probabilities.npy"]
    outputs = json.loads(Path("out/a.json").read_bytes())["outputs"]
    assert outputs == {"mask": "a_mask.png", "overlay": "a_overlay.png", "probabilities_npy": "a_probabilities.npy"}


@pytest.mark.parametrize("where", ["env", "here"])
def test_the_model_is_found(model_file: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    if where == "env":
        monkeypatch.setenv("SEG_MODEL", str(model_file))
    else:
        Path("model.onnx").write_bytes(model_file.read_bytes())
    ok(seg_run(picture("a.png")))


def test_model_goes_before_the_environment(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEG_MODEL", "nowhere.onnx")
    ok(seg_run("--model", model_file, picture("a.png")))


def test_no_model(model_file: Path) -> None:
    result = seg_run("--out", "out", picture("a.png"))
    assert result.exit_code == 1
    assert errors(result.stderr) == [result.stderr.strip()]
    assert "model.onnx does not exist" in result.stderr
    assert not Path("out").exists()


def test_a_model_without_contract_is_refused_by_name(model_file: Path) -> None:
    graph = onnx.load(model_file)
    del graph.metadata_props[:]
    onnx.save(graph, "bare.onnx")
    result = seg_run("--model", "bare.onnx", "--out", "out", picture("a.png"))
    assert result.exit_code == 1
    assert "bare.onnx has no contract" in result.stderr
    assert not Path("out").exists()


def test_a_checkpoint_is_no_model(model: Made) -> None:
    result = seg_run("--model", model.checkpoint, picture("a.png"))
    assert result.exit_code == 1
    assert "torch checkpoint" in result.stderr
    assert "seg-export" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["--provider", "tpu", "a.png"], ["--jobs", "0", "a.png"], ["--probabilities", "gif", "a.png"], ["--nonsense"]],
)
def test_wrong_options_exit_2(arguments: list[str]) -> None:
    assert seg_run(*arguments).exit_code == 2


@no_cuda
def test_cuda_or_exit_3_and_nothing_written(model_file: Path) -> None:
    done = in_a_process("seg-run", "--model", model_file, "--provider", "cuda", "--out", "out", picture("a.png"))
    assert done.returncode == 3
    assert errors(done.stderr) == [done.stderr.strip()]
    assert "seg-edge[gpu]" in done.stderr
    assert listing(".") == ["a.png"]


def test_two_wheels_and_cuda_exit_3(model_file: Path, tmp_path: Path) -> None:
    fake_wheel(tmp_path)
    done = in_a_process("seg-run", "--model", model_file, "--provider", "cuda", picture("a.png"), path=tmp_path)
    assert done.returncode == 3
    assert f"onnxruntime {onnxruntime.__version__} and onnxruntime-gpu 1.20.0" in done.stderr


def test_two_wheels_and_cpu_is_a_warning(model_file: Path, tmp_path: Path) -> None:
    fake_wheel(tmp_path)
    done = in_a_process("seg-run", "--model", model_file, "--provider", "cpu", picture("a.png"), path=tmp_path)
    assert done.returncode == 0
    assert "warning: " in done.stderr
    assert "onnxruntime-gpu 1.20.0" in done.stderr


@pytest.mark.parametrize("body", ["", "raise ImportError('libfoo.so is missing')"])
def test_a_broken_onnxruntime_is_told(model_file: Path, tmp_path: Path, body: str) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text(body)
    done = in_a_process("seg-run", "--model", model_file, picture("a.png"), path=tmp_path)
    assert done.returncode == 3
    assert len(errors(done.stderr)) == 1


def test_one_bad_image_does_not_stop_the_rest(model_file: Path) -> None:
    picture("in/a.png")
    picture("in/c.png")
    Path("in/b.png").write_bytes(Path("in/a.png").read_bytes()[:200])
    done = in_a_process("seg-run", "--model", model_file, "--no-overlay", "--out", "out", "in")
    assert done.returncode == 1
    assert listing() == ["a.json", "a_mask.png", "c.json", "c_mask.png"]
    (line,) = errors(done.stderr)
    assert "in/b.png" in line
    assert "2 segmented, 1 failed" in done.stdout


BAD = {
    "empty.png": (b"", "is empty"),
    "text.png": (b"I am a text", "not a readable image"),
    "bomb.png": (png_header_only(60_000, 60_000), "3600000000 px"),
    "bomb.tif": (tiff([noise_image(4, 4)] * 2, claim={1: (60_000, 60_000)}), "px"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(model_file: Path, name: str) -> None:
    content, word = BAD[name]
    Path(name).write_bytes(content)
    result = seg_run("--model", model_file, "--out", "out", name)
    assert result.exit_code == 1
    (line,) = errors(result.stderr)
    assert name in line
    assert word in line
    assert not Path("out").exists()


def test_a_missing_image_and_an_empty_folder(model_file: Path) -> None:
    Path("void").mkdir()
    result = seg_run("--model", model_file, "--no-overlay", "--out", "out", "no.png", "void", picture("a.png"))
    assert result.exit_code == 1
    assert len(errors(result.stderr)) == 2
    assert listing() == ["a.json", "a_mask.png"]


def test_a_data_set_as_input_leads_to_its_images(model_file: Path) -> None:
    picture("data/images/a.png")
    (line,) = errors(seg_run("--model", model_file, "--out", "out", "data").stderr)
    assert line.endswith("Did you mean data/images?")


@pytest.mark.parametrize("count", [1, 3])
def test_a_form_of_probabilities_that_no_image_has_is_refused_once(model_file: Path, count: int) -> None:
    images = [picture(f"{number}.png") for number in range(count)]
    result = seg_run("--model", model_file, "--out", "out", "--probabilities", "map", *images)
    assert result.exit_code == 1
    assert len(errors(result.stderr)) == 1
    assert "--probabilities needs npy, or tiff for a model of images" in result.stderr


def test_max_pixels_is_an_option(model_file: Path) -> None:
    picture("a.png")
    assert seg_run("--model", model_file, "--max-pixels", 599, "a.png").exit_code == 1
    ok(seg_run("--model", model_file, "--max-pixels", 600, "a.png"))


def test_a_transparent_image_is_refused(model_file: Path) -> None:
    Image.new("RGBA", (9, 9), (1, 2, 3, 4)).save("a.png")
    result = seg_run("--model", model_file, "--out", "out", "a.png")
    assert result.exit_code == 1
    assert "transparent" in result.stderr


def test_colour_for_a_grey_model_is_refused(make_model: MakeModel) -> None:
    result = seg_run("--model", make_model(channels=1).path, "--out", "out", picture("a.png"))
    assert result.exit_code == 1
    assert "in colour" in result.stderr


def test_a_rerun_skips_and_overwrite_forces(model_file: Path) -> None:
    command = ["--model", model_file, "--out", "out", picture("a.png")]
    seg_run(*command)
    again = ok(seg_run(*command))
    assert "0 segmented, 1 already done" in again.stdout
    assert "1 segmented" in seg_run(*command, "--overwrite").stdout


def test_another_models_results_are_not_overwritten(model_file: Path, make_model: MakeModel) -> None:
    seg_run("--model", model_file, "--out", "out", picture("a.png"))
    before = {p: p.read_bytes() for p in Path("out").iterdir()}
    result = seg_run("--model", make_model(seed=2).path, "--out", "out", "a.png")
    assert result.exit_code == 1
    assert "another model" in result.stderr
    assert {p: p.read_bytes() for p in Path("out").iterdir()} == before


def test_recursive_keeps_the_folders(model_file: Path) -> None:
    picture("in/a.png")
    picture("in/deep/a.png", seed=1)
    ok(seg_run("--model", model_file, "--no-overlay", "--recursive", "--out", "out", "in"))
    assert listing() == ["a.json", "a_mask.png", "deep/a.json", "deep/a_mask.png"]


def test_an_image_that_does_not_fit_is_named_with_its_folder(model_file: Path) -> None:
    for folder in ("a", "b"):
        (Path("in") / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise_image(5, 5)).save(Path("in") / folder / "x.png")
    transparent = np.dstack([noise_image(5, 5), np.full((5, 5), 100, np.uint8)])
    Image.fromarray(transparent).save(Path("in/b/x.png"))
    done = seg_run("--model", model_file, "--recursive", "--out", "out", "in")
    assert done.exit_code == ImageError.exit_code
    assert "error: in/b/x.png has " in done.stderr
    assert json.loads(Path("out/a/x.json").read_text())["input"]["name"] == "x.png"


def test_a_name_clash_is_named(model_file: Path) -> None:
    words = ("--model", model_file, "--no-overlay", "--out", "out")
    result = seg_run(*words, picture("x/a.png"), picture("y/a.png"))
    assert result.exit_code == 1
    (line,) = errors(result.stderr)
    assert "x/a.png" in line
    assert "y/a.png" in line
    assert listing() == ["a.json", "a_mask.png"]


def test_out_is_a_file(model_file: Path) -> None:
    Path("out").write_bytes(b"precious")
    result = seg_run("--model", model_file, "--out", "out", picture("a.png"))
    assert result.exit_code == 1
    assert Path("out").read_bytes() == b"precious"


def test_a_long_name_is_done_and_one_that_is_too_long_told(model_file: Path) -> None:
    """A file's name may have 255 bytes: `_mask.png` takes 9."""
    words = ["--model", model_file, "--no-overlay", "--out", "out"]
    ok(seg_run(*words, picture("n" * 246 + ".png")))
    assert [len(name) for name in listing()] == [251, 255]
    result = seg_run(*words, picture("o" * 247 + ".png"), picture("short.png"))
    assert result.exit_code == 1
    assert "too long). Shorten the name" in result.stderr
    assert [len(name) for name in listing()] == [251, 255, 10, 14]  # the result of the other file is kept


def test_a_model_that_fails_while_it_runs(model: Made) -> None:
    Path("m.onnx").write_bytes(breaking_model(model))
    done = in_a_process("seg-run", "--model", "m.onnx", "--out", "out", picture("a.png"))
    assert done.returncode == 1
    assert len(errors(done.stderr)) == 1
    assert not Path("out").exists()


def test_a_shell_glob_over_the_results_segments_no_mask(model_file: Path) -> None:
    seg_run("--model", model_file, "--overlay", picture("a.png"))
    seg_run("--model", model_file, "--overlay", *sorted(p.name for p in Path().glob("*.png")))
    assert listing(".") == ["a.json", "a.png", "a_mask.png", "a_overlay.png"]


def test_help_and_version() -> None:
    assert "--provider" in seg_run("--help").stdout
    assert in_a_process("seg-run", "--version").returncode == 0


def test_a_whole_run_as_a_person_starts_it(model_file: Path) -> None:
    picture("in/a.png")
    done = in_a_process("seg-run", "in", "--out", "out", "--provider", "cpu", SEG_MODEL=str(model_file))
    assert done.returncode == 0
    assert "provider: cpu" in done.stderr
    assert listing() == ["a.json", "a_mask.png", "a_overlay.png"]


def test_warm_up_is_told_apart_in_the_first_record(model_file: Path) -> None:
    images = [picture("a.png"), picture("b.png", seed=1)]
    ok(seg_run("--model", model_file, "--out", "out", "--warm-up", "--shrink-memory", *images))
    first, second = (json.loads(Path(f"out/{name}.json").read_bytes())["ms"] for name in ("a", "b"))
    assert {"load", "warm_up", "inference"} <= set(first)
    assert not {"load", "warm_up"} & set(second)


def test_the_cache_is_off_unless_asked_for(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEG_CACHE", raising=False)
    words = ["--model", model_file, "--provider", "cpu", "--out", "out", "--overwrite", picture("a.png")]
    seg_run(*words)
    assert not Path("cache").exists()
    masks = [Path("out/a_mask.png").read_bytes()]
    for _ in range(2):
        ok(seg_run(*words, "--cache", "cache"))
        masks.append(Path("out/a_mask.png").read_bytes())
    assert len(list(Path("cache/seg-edge").iterdir())) == 1
    monkeypatch.setenv("SEG_CACHE", "other")
    seg_run(*words)
    assert len(list(Path("other/seg-edge").iterdir())) == 1
    assert len(set(masks)) == 1


@pytest.mark.parametrize("provider", ["tensorrt", "openvino"])
def test_a_provider_that_cannot_be_had_exits_3(provider: str, model_file: Path) -> None:
    if PROVIDERS.get(provider).ort_name in onnxruntime.get_available_providers():
        pytest.skip("this machine's wheel has it")
    result = seg_run("--model", model_file, "--provider", provider, "--out", "out", picture("a.png"))
    assert result.exit_code == 3
    assert "cannot be used" in errors(result.stderr)[0]
    assert not Path("out").exists()


@no_cuda
def test_options_for_the_gpu_that_do_nothing_are_told_once(model: Made) -> None:
    words = ["--model", model.path, "--cuda-graph", "--prefer-nhwc"]
    graph, layout, tf32 = (
        "note: only CUDA can record graphs, so --cuda-graph is ignored",
        "note: only CUDA has this option, so --prefer-nhwc is ignored",
        "note: only NVIDIA GPUs support TF32, so --fast-math is ignored",
    )

    def notes(*more: object, call: Callable[..., Result] = seg_run) -> list[str]:
        result = ok(call(*more))
        return [line for line in result.stderr.splitlines() if line.startswith("note: ")]

    for provider in ("cpu", "auto"):
        assert notes(picture("a.png"), *words, "--provider", provider, "--overwrite") == [graph, layout]
    assert notes("self-test", *words, "--fast-math", "--provider", "cpu", call=seg_edge) == [graph, layout, tf32]
    assert notes(picture("b.png"), *words[:2], "--provider", "cpu") == []


def test_the_checked_bytes_are_opened_and_no_cache(model_file: Path) -> None:
    digest = hashlib.sha256(model_file.read_bytes()).hexdigest()
    options = RunOptions(cache=Path("kept"), require_sha256=(digest,), written=frozenset({"--cache"}))
    with options.open(model_file) as segmenter:
        assert check(MODEL_RULES, Loaded(options, segmenter.session)) == [
            "only the bytes that were checked are loaded, so --cache is ignored"
        ]
    assert not Path("kept").exists()


def test_probabilities_that_a_model_cannot_give_are_refused_before_any_image(
    regression: Made, make_model: MakeModel
) -> None:
    for path, needed in (
        (regression.path, "a segmentation model. Leave it out"),
        (
            make_model(options=ExportOptions(host_ready=True)).path,
            "a host-ready model with a probability output. Export the model again with",
        ),
    ):
        result = seg_run("--model", path, "--out", "out", "--probabilities", "npy", picture("a.png"), picture("b.png"))
        assert result.exit_code == 1
        (line,) = errors(result.stderr)
        assert line.startswith(f"error: --probabilities needs {needed}")
        assert not Path("out").exists()
