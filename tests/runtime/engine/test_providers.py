"""Providers: what each is given, what it says where it is missing, and one that another package has."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest
from seg_runtime.engine import PROVIDERS, Provider, RunOptions, Tuning, candidates, check_wheels, wheels
from seg_runtime.engine.providers import Cuda
from seg_runtime.engine.providers.cuda import TF32_SWITCH
from seg_runtime.support import ProviderError

from tests.support.commands import in_a_process
from tests.support.images import picture
from tests.support.packages import install
from tests.support.wheels import fake_wheel

ALL = SimpleNamespace(get_available_providers=lambda: [kind.ort_name for kind in PROVIDERS.own.values()])


def made(name: str, *, half: bool = False, **options: Any) -> Provider:
    """A provider of ours with these options."""
    return PROVIDERS.get(name)(RunOptions(provider=name, **options), half=half)


def chain(name: str, **options: Any) -> dict[str, dict[str, str]]:
    """ONNX Runtime's options by its name of each provider but the last, which is the CPU."""
    given = made(name, **options).chain()
    assert given[-1] == "CPUExecutionProvider"
    return dict(given[:-1])


def test_the_options_of_cuda() -> None:
    strict = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    assert chain("cuda") == {"CUDAExecutionProvider": strict}
    fast = chain("cuda", fast_math=True, tuning=Tuning(cuda_graph=True, prefer_nhwc=True))["CUDAExecutionProvider"]
    assert fast == {**strict, "use_tf32": "1", "enable_cuda_graph": "1", "prefer_nhwc": "1"}


@pytest.mark.parametrize("half", [False, True])
def test_tensorrt_takes_half_precision_only_where_the_model_has_it(half: bool) -> None:
    given = chain("tensorrt", half=half)
    assert list(given) == ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    assert given["TensorrtExecutionProvider"] == {"trt_fp16_enable": str(int(half))}


def test_tensorrt_records_no_graph() -> None:
    given = chain("tensorrt", tuning=Tuning(cuda_graph=True))
    assert given["CUDAExecutionProvider"] == {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


def test_tensorrt_is_no_fault_where_nobody_asked_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's wheel for CUDA lists it on every machine with a card."""
    monkeypatch.setattr("seg_runtime.engine.nvidia.driver", lambda: (13, 0))
    assert (PROVIDERS.get("cuda").expected(), PROVIDERS.get("tensorrt").expected()) == (True, False)


def test_openvino_stays_in_the_models_precision() -> None:
    given = chain("openvino", threads=3)["OpenVINOExecutionProvider"]
    assert given == {"device_type": "CPU", "precision": "ACCURACY", "num_of_threads": "3"}


def test_the_cpu_is_alone() -> None:
    assert chain("cpu", fast_math=True, tuning=Tuning(cuda_graph=True)) == {}


@pytest.mark.parametrize(
    ("name", "memory"), [("cpu", "cpu:0"), ("cuda", "gpu:0"), ("tensorrt", "gpu:0"), ("openvino", None)]
)
def test_whose_memory_is_given_back(name: str, memory: str | None) -> None:
    assert made(name).run_options(onnxruntime) is None
    options = made(name, tuning=Tuning(shrink_memory=True)).run_options(onnxruntime)
    entry = "memory.enable_memory_arena_shrinkage"
    assert (options and options.get_run_config_entry(entry)) == memory


def test_auto_takes_the_first_that_works() -> None:
    assert [kind.name for kind in candidates("auto")] == ["cuda", "cpu"]
    assert [kind.name for kind in candidates("tensorrt")] == ["tensorrt"]
    with pytest.raises(ProviderError, match=r"'tpu'.*cpu, cuda, tensorrt, openvino") as caught:
        candidates("tpu")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("cuda", r"NVIDIA driver, CUDA 12 and cuDNN 9 \(`pip install 'onnxruntime-gpu\[cuda,cudnn\]'`"),
        ("tensorrt", r"NVIDIA driver, CUDA 12 and cuDNN 9 .* and TensorRT 10 \(`pip install tensorrt-cu12`\)"),
        ("openvino", r"pip install --force-reinstall onnxruntime-openvino"),
    ],
)
def test_what_to_install_where_it_does_not_load(name: str, fix: str) -> None:
    ort = SimpleNamespace(cuda_version="12.8", get_available_providers=ALL.get_available_providers)
    error = made(name).unavailable(ort, "a library is missing")
    assert error.problem.endswith("cannot be used: a library is missing")
    assert re.search(fix + r".*; or use --provider cpu", error.advice)


STRICT, FAST = RunOptions(), RunOptions(fast_math=True)


def settle(name: str, options: RunOptions) -> None:
    PROVIDERS.get(name)(options).settle(ALL)


def start(name: str, options: RunOptions) -> None:
    PROVIDERS.get(name)(options).started()


@pytest.fixture
def unsettled(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process in which nothing has been said about TF32."""
    monkeypatch.setenv(TF32_SWITCH, "")  # so that it is put back as it was, afterwards
    monkeypatch.delenv(TF32_SWITCH)
    monkeypatch.setattr(Cuda, "started_fast", [])
    return monkeypatch


def test_tf32_of_tensorrt_is_switched_off_for_the_process(unsettled: pytest.MonkeyPatch) -> None:
    for provider in ("cpu", "cuda", "openvino"):
        settle(provider, STRICT)
    settle("cpu", FAST)
    assert TF32_SWITCH not in os.environ
    settle("tensorrt", STRICT)
    assert os.environ[TF32_SWITCH] == "0"
    settle("tensorrt", STRICT)
    settle("cuda", STRICT)
    for provider in ("cuda", "tensorrt"):
        with pytest.raises(
            ProviderError, match=f"{provider} cannot use fast math .*NVIDIA_TF32_OVERRIDE=0 disables it"
        ):
            settle(provider, FAST)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_tensorrt_without_tf32_is_refused_after_a_session_with_it(provider: str, unsettled: pytest.MonkeyPatch) -> None:
    settle(provider, FAST)
    settle("tensorrt", STRICT)  # the library of the other was missing: nothing has read the switch
    unsettled.delenv(TF32_SWITCH)
    settle(provider, FAST)
    start(provider, STRICT)
    start("cpu", FAST)
    settle("tensorrt", STRICT)
    unsettled.delenv(TF32_SWITCH)
    start(provider, FAST)
    settle("cuda", STRICT)  # has an option of its own
    with pytest.raises(ProviderError, match=rf"after a session on {provider} with fast math.*in a separate process"):
        settle("tensorrt", STRICT)


def test_an_environment_that_forces_tf32_is_refused(unsettled: pytest.MonkeyPatch) -> None:
    unsettled.setenv(TF32_SWITCH, "1")
    settle("tensorrt", FAST)
    with pytest.raises(ProviderError, match="NVIDIA_TF32_OVERRIDE=1"):
        settle("tensorrt", STRICT)


def test_a_wheel_without_tensorrt_settles_nothing(unsettled: pytest.MonkeyPatch) -> None:
    plain = SimpleNamespace(get_available_providers=lambda: ["CPUExecutionProvider"])
    PROVIDERS.get("tensorrt")(STRICT).settle(plain)
    assert TF32_SWITCH not in os.environ


def test_one_wheel_is_nothing_to_talk_about() -> None:
    assert len(wheels()) == 1
    assert check_wheels("cuda") == ""


def test_two_wheels_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_wheel(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert "onnxruntime-gpu 1.20.0" in check_wheels("auto")
    assert "onnxruntime-gpu 1.20.0" in check_wheels("cpu")
    with pytest.raises(ProviderError, match=r"onnxruntime-gpu 1.20.0.*pip uninstall"):
        check_wheels("cuda")


TOY = '''
from seg_runtime.engine.providers import Cpu

class Toy(Cpu):
    """The CPU by another name, without the options that seg-edge has for it."""
    name, label, takes, universal, first_run = "toy", "Toy", frozenset(), False, True
'''


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A folder for the import path with an installed package that has a provider, and one whose provider is broken."""
    points = "[seg_edge.providers]\ntoy = toy_provider:Toy\nbroken = toy_provider:NoSuch\n"
    return install(tmp_path / "installed", "toy-provider", points=points, toy_provider=TOY)


def test_a_provider_of_another_package_segments(
    toy: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--model", model_file, "--provider", "toy", "--cache", "kept", picture("a.png")]
    done = in_a_process("seg-run", *words, path=toy)
    assert done.returncode == 0, done.stderr
    assert "provider: toy (" in done.stderr  # with its nodes
    assert "so --cache is ignored" in done.stderr
    record = json.loads(Path("a.json").read_bytes())
    assert (record["provider"]["asked"], record["provider"]["used"]) == ("toy", "toy")
    assert set(record["provider"]["nodes"]) == {"CPUExecutionProvider"}
    assert {"load", "warm_up"} <= set(record["ms"])  # its first run
    assert not Path("kept").exists()


def test_a_provider_of_another_package_is_tested(toy: Path, model_file: Path) -> None:
    done = in_a_process("seg-edge", "self-test", "--model", model_file, "--provider", "toy", path=toy)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["provider"]["used"] == "toy"
    assert report["self_test"]["passed"]


def test_the_doctor_tries_a_provider_of_another_package(toy: Path) -> None:
    done = in_a_process("seg-edge", "doctor", "--provider", "toy", path=toy)
    assert done.returncode == 0, done.stderr
    assert "--provider toy works" in done.stderr
    tried = {p["name"]: p for p in json.loads(done.stdout)["providers"]}
    assert tried["toy"]["loads"]
    assert "toy_provider:NoSuch" in tried["broken"]["problem"]


def test_a_package_that_is_not_whole_is_named(toy: Path, model_file: Path) -> None:
    done = in_a_process("seg-run", "--model", model_file, "--provider", "broken", "a.png", path=toy)
    assert done.returncode == 3
    assert "provider 'broken' cannot be loaded from toy_provider:NoSuch" in done.stderr


def test_the_help_names_every_provider(toy: Path) -> None:
    assert "[auto|cpu|cuda|tensorrt|openvino|broken|toy]" in "".join(
        in_a_process("seg-run", "--help", path=toy).stdout.split()
    )
    refused = in_a_process("seg-run", "--provider", "tpu", "a.png", path=toy)
    assert refused.returncode == 2
    assert "auto, cpu, cuda, tensorrt, openvino, broken, toy" in refused.stderr
