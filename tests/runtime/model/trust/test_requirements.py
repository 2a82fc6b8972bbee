"""A run names the models that it takes: by name, by version, by digest."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from seg_runtime import ModelError, Requirements, Segmenter
from seg_runtime.model import ModelFile
from seg_runtime.support import OptionsError

from tests.support.commands import errors, ok, seg_edge, seg_run
from tests.support.images import picture
from tests.support.models import Made
from tests.support.trust import renamed


@pytest.fixture(scope="module")
def liver(model: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model called liver-ct, version 1.10."""
    return renamed(model, tmp_path_factory.mktemp("named") / "liver.onnx", "liver-ct", "1.10")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "models",
    [{"liver-ct": ""}, {"liver-ct": "1.9"}, {"liver-ct": "1.10.0"}, {"liver-ct": "0"}, {"lung": "", "liver-ct": "1"}],
)
def test_a_model_that_is_allowed(liver: Path, models: dict[str, str]) -> None:
    content = ModelFile(liver).take(Requirements(models=models))
    assert content.trust.run == ("models",)
    assert not content.trust.exact


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ({"lung": ""}, "liver.onnx is liver-ct 1.10; expected lung, as required. Use an approved model"),
        ({"liver-ct": "1.11"}, "liver.onnx is liver-ct 1.10; expected liver-ct 1.11 or newer, as required"),
        ({"liver": "", "Liver-ct": ""}, "expected liver or Liver-ct, as required"),
    ],
)
def test_a_model_that_is_not(liver: Path, models: dict[str, str], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        ModelFile(liver).take(Requirements(models=models))


def test_a_model_without_a_name_is_none_of_the_allowed(model: Made) -> None:
    with pytest.raises(ModelError, match="is a model without a name; expected liver-ct 1 or newer"):
        Segmenter(model.path, provider="cpu", require=Requirements(models={"liver-ct": "1"}))


def test_a_digest_also_pins_bytes(liver: Path) -> None:
    digest = sha256(liver)
    require = Requirements(sha256=("0" * 64, digest.upper()))
    with Segmenter(liver.read_bytes(), provider="cpu", require=require) as segmenter:
        assert segmenter.session.trust.run == ("sha256",)
        assert segmenter.session.trust.exact
    with pytest.raises(ModelError, match=rf"model has the SHA-256 {digest}; expected {'0' * 64}, as required"):
        Segmenter(liver.read_bytes(), provider="cpu", require=Requirements(sha256=("0" * 64,)))


def test_every_one_of_several_files_is_checked(liver: Path, model: Made) -> None:
    require = Requirements(models={"liver-ct": ""})
    Segmenter([liver, liver], provider="cpu", require=require)
    with pytest.raises(ModelError, match="is a model without a name"):
        Segmenter([liver, model.path], provider="cpu", require=require)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"models": {"liver": "new"}}, "'liver' in version 'new'; expected .* such as 1.2"),
        ({"models": {"liver": "1" * 65}}, "expected .* such as 1.2"),
        ({"models": {"": "1"}}, "no name"),
        ({"sha256": ("12",)}, "the required SHA-256 is '12'; expected 64 hexadecimal digits"),
    ],
)
def test_requirements_that_are_none(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionsError, match=says):
        Requirements(**wrong)


def test_on_the_command_line(liver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    met = ["--require-model", "liver-ct", "--require-version", "1.9", "--require-sha256", sha256(liver)]
    ok(seg_run("--model", liver, "--provider", "cpu", picture("a.png"), *met))
    ok(seg_edge("self-test", liver, "--provider", "cpu", *met))
    for command in (["run", picture("b.png"), "--model", liver], ["self-test", liver], ["tune", liver]):
        result = seg_edge(*command, "--require-model", "lung")
        assert result.exit_code == 1
        assert "is liver-ct 1.10; expected lung, as required" in errors(result.stderr)[0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--require-version", "1"], "--require-version needs --require-model"),
        (["--require-model", "liver", "--require-version", "new"], "expected .* such as 1.2"),
        (["--require-model", ""], "no name"),
        (["--require-sha256", "12"], "expected 64 hexadecimal digits"),
    ],
)
@pytest.mark.parametrize("command", [["run", "a.png"], ["self-test"], ["tune", "model.onnx"]])
def test_wrong_options_end_with_2_before_anything_is_read(command: list[str], words: list[str], says: str) -> None:
    result = seg_edge(*command, *words)
    assert result.exit_code == 2
    [line] = errors(result.stderr)
    assert re.search(says, line)
