from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from seg_export.graph import stamped
from seg_runtime import ContractError, ModelError, ProviderError, SegError
from seg_runtime.engine import PROVIDERS, RunOptions, Tuning, available_threads
from seg_runtime.engine.binding import FixedBuffers
from seg_runtime.engine.session import Session
from seg_runtime.model.contract import METADATA_KEY, VERSION
from seg_runtime.model.digest import sealed

from tests.support.contracts import changed
from tests.support.damage import breaking_model
from tests.support.images import noise_image
from tests.support.models import CPU, Made, being_loaded
from tests.support.wheels import no_cuda


def test_the_session_answers_as_torch_does(model: Made) -> None:
    session = Session(model.path, CPU)
    window = noise_image(252, 252).astype(np.float32).transpose(2, 0, 1)[None] / 255
    logits = session.run(window)
    assert logits.shape == (1, 2, 68, 68)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, model.torch_run(window), atol=1e-4)


def test_the_contract_comes_from_the_file(model: Made) -> None:
    assert Session(model.path, CPU).contract == model.contract


def test_content_instead_of_a_path(model: Made) -> None:
    by_content, by_path = Session(model.path.read_bytes(), CPU), Session(str(model.path), CPU)
    assert by_content.sha256 == by_path.sha256


@no_cuda
def test_auto_says_that_it_took_the_cpu(model_file: Path) -> None:
    session = Session(model_file)
    assert (session.options.provider, session.provider.name) == ("auto", "cpu")


@no_cuda
def test_cuda_is_cuda_or_an_error_with_the_fix(model_file: Path) -> None:
    with pytest.raises(ProviderError, match=r"CUDA cannot be used.*onnxruntime.*seg-edge\[gpu\]") as caught:
        Session(model_file, RunOptions(provider="cuda"))
    assert caught.value.exit_code == 3


def test_unknown_provider(model_file: Path) -> None:
    with pytest.raises(ProviderError, match=r"'tpu'.*cpu, cuda, tensorrt, openvino"):
        Session(model_file, RunOptions(provider="tpu"))


def test_no_threads_at_all(model_file: Path) -> None:
    with pytest.raises(SegError, match="number of threads is 0"):
        Session(model_file, RunOptions(provider="cpu", threads=0))


def test_threads_follow_the_affinity_of_the_process() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    code += "from seg_runtime.engine import available_threads as a; print(a())"
    assert subprocess.check_output([sys.executable, "-c", code]).split() == [b"1"]
    assert available_threads() >= 1


def test_without_contract_the_file_is_refused_by_name(model_file: Path, tmp_path: Path) -> None:
    graph = onnx.load(model_file)
    del graph.metadata_props[:]
    bare = tmp_path / "bare.onnx"
    onnx.save(graph, bare)
    with pytest.raises(ContractError, match=r"bare.onnx has no contract.*seg-export"):
        Session(bare, CPU)


def test_a_newer_contract_is_refused(model_file: Path) -> None:
    graph = onnx.load(model_file)
    text = next(p.value for p in graph.metadata_props if p.key == METADATA_KEY)
    text = text.replace(f'"version": {VERSION}', f'"version": {VERSION + 1}')
    onnx.helper.set_model_props(graph, {METADATA_KEY: text})
    with pytest.raises(ContractError, match=rf"version {VERSION + 1}.*Upgrade"):
        Session(sealed(graph.SerializeToString()), CPU)


def test_a_contract_of_another_shape_is_refused(model: Made) -> None:
    grey = changed(model.contract, channels=1)
    with pytest.raises(ModelError, match="inputs and outputs"):
        Session(stamped(onnx.load(model.path), grey), CPU)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.onnx", b"", "is empty"),
        ("a.onnx", b"not a model", "is not an ONNX model"),
        ("weights.bin", b"PK\x03\x04 archive/data.pkl", r"torch checkpoint.*seg-edge import .*weights\.bin DATA"),
        ("model.bin", b"PK\x03\x04 archive/data.pkl seg-edge checkpoint 1", r"torch checkpoint.*Export it: seg-export"),
        ("a.pt", b"anything", r"torch checkpoint.*seg-export .*a\.pt .*a\.onnx"),
    ],
)
def test_files_that_are_no_model(name: str, content: bytes, word: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SegError, match=word):
        Session(tmp_path / name, CPU)


def test_missing_model_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"does not exist.*SEG_MODEL"):
        Session(tmp_path / "no.onnx", CPU)
    with pytest.raises(ModelError, match="cannot be read"):
        Session(tmp_path, CPU)


def test_a_truncated_model_is_refused(model_file: Path) -> None:
    content = model_file.read_bytes()
    with pytest.raises(ModelError, match="truncated"):
        Session(content[: len(content) // 2], CPU)


def test_external_weights_are_refused(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = onnx.load(model_file)
    onnx.save_model(graph, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would look for them
    with pytest.raises(ModelError, match="stores weights in another file"):
        Session(tmp_path / "m.onnx", CPU)


def test_a_failure_while_running_is_an_error_in_words(model: Made) -> None:
    session = Session(breaking_model(model), CPU)
    with pytest.raises(SegError, match="Gather"):
        session.warm_up()


@pytest.mark.parametrize(
    ("name", "word", "extra"), [("tensorrt", "TensorRT", "gpu"), ("openvino", "OpenVINO", "openvino")]
)
def test_other_providers_by_name_are_had_or_refused_with_the_fix(
    name: str, word: str, extra: str, model_file: Path
) -> None:
    if PROVIDERS.get(name).ort_name in onnxruntime.get_available_providers():
        pytest.skip("this machine's wheel has it")
    with pytest.raises(ProviderError, match=rf"{word} cannot be used.*built without it.*seg-edge\[{extra}\]") as caught:
        Session(model_file, RunOptions(provider=name))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "saving", [Tuning(shrink_memory=True), Tuning(process_arena=True), Tuning(shrink_memory=True, process_arena=True)]
)
def test_memory_may_be_saved_without_changing_a_bit(model: Made, saving: Tuning) -> None:
    window = noise_image(252, 252).astype(np.float32).transpose(2, 0, 1)[None] / 255
    wanted, session = (
        Session(model.path, CPU).run(window),
        Session(model.path, RunOptions(provider="cpu", tuning=saving)),
    )
    for _ in range(3):
        np.testing.assert_array_equal(session.run(window), wanted)


def test_fixed_buffers_answer_as_fresh_ones_do(model: Made) -> None:
    """On the CPU, whose memory they can be in, too; with threads that want them at once."""
    session = Session(model.path, CPU)
    fixed = FixedBuffers(onnxruntime, session._session, session.contract, "cpu")
    images = [noise_image(252, 252, seed=s).astype(np.float32).transpose(2, 0, 1)[None] / 255 for s in range(6)]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(fixed.run, images * 2))
    for answer, image in zip(answers, images * 2, strict=True):
        np.testing.assert_array_equal(answer, session.run(image))


def test_load_and_warm_up_are_timed_apart_and_told_once(model_file: Path) -> None:
    session = Session(model_file, CPU)
    session.warm_up()
    told = session.take_ms()
    assert set(told) == {"load", "warm_up"}
    assert all(ms > 0 for ms in told.values())
    assert session.take_ms() == {}


def test_a_file_that_is_written_to_while_it_is_loaded(
    model: Made, make_model: Callable[..., Made], tmp_path: Path
) -> None:
    path, reading = being_loaded(model, tmp_path)
    path.write_bytes(make_model(seed=3).path.read_bytes())
    with pytest.raises(ModelError, match=r"model.onnx changed while it was loaded.*Run it again"):
        Session(reading, CPU)


def test_a_file_that_vanishes_while_it_is_loaded(model: Made, tmp_path: Path) -> None:
    path, reading = being_loaded(model, tmp_path)
    path.unlink()
    with pytest.raises(ModelError, match=r"model.onnx"):
        Session(reading, CPU)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_model_that_is_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.onnx"
    os.mkfifo(pipe)
    with pytest.raises(ModelError, match=r"pipe\.onnx cannot be read \(it is not a regular file\)"):
        Session(pipe, CPU)


def test_a_link_that_is_switched_meanwhile(model: Made, make_model: Callable[..., Made], tmp_path: Path) -> None:
    """The file that was hashed is the one that runs, whichever that is."""
    link, other = tmp_path / "model.onnx", make_model(seed=3)
    link.symlink_to(model.path)
    window = np.random.default_rng(0).random((1, 3, 252, 252), np.float32)
    sessions = [Session(made.path, CPU) for made in (model, other)]
    logits = {session.sha256: session.run(window) for session in sessions}
    stop = threading.Event()

    def switch() -> None:
        while not stop.is_set():
            for made in (other, model):
                fresh = tmp_path / "fresh"
                fresh.symlink_to(made.path)
                fresh.replace(link)

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        for _ in range(60):
            session = Session(link, CPU)
            np.testing.assert_array_equal(session.run(window), logits[session.sha256])
    finally:
        stop.set()
        thread.join()


def test_a_wrong_time_is_refused_before_the_first_image(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(SegError, match="SOURCE_DATE_EPOCH is 'yesterday'"):
        Session(model_file, CPU)
