"""The policy of the machine holds for every way to open a model, and one that cannot be used allows none."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from seg_export import tuning
from seg_export.pipeline import export
from seg_runtime import ModelError, Requirements, Segmenter, Session
from seg_runtime.model import ModelFile
from seg_runtime.model.trust import machine
from seg_runtime.support import SegError
from seg_toolkit.checkpoints import load

from tests.support.commands import errors, ok, seg_edge
from tests.support.images import picture
from tests.support.models import CPU, Made
from tests.support.trust import make_key, renamed, set_policy, sign

DIGEST = "0" * 64
WAYS: dict[str, Callable[[Path], object]] = {
    "Segmenter": lambda path: Segmenter(path, provider="cpu"),
    "bytes": lambda path: Segmenter(path.read_bytes(), provider="cpu"),
    "ModelFile": lambda path: Segmenter(ModelFile(path), provider="cpu"),
    "several": lambda path: Segmenter([path, path], provider="cpu"),
    "Session": lambda path: Session(path, CPU),
    "tune": lambda path: tuning.tune(path, tuning.TuneOptions()),
    "require": lambda path: Segmenter(path, provider="cpu", require=Requirements(models={"liver-ct": ""})),
}


@pytest.fixture
def liver(model: Made, tmp_path: Path) -> Path:
    return renamed(model, tmp_path / "liver.onnx", "liver-ct", "1.10")


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, Any] | bytes], Path]:
    return lambda content: set_policy(monkeypatch, tmp_path / "etc", content)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_open_a_model_is_checked(liver: Path, way: str, policy: Any) -> None:
    place = policy({"models": {"lung": "2"}})
    with pytest.raises(ModelError, match=r"is liver-ct 1\.10; expected lung 2 or newer, as the policy of") as found:
        WAYS[way](liver)
    assert str(place) in str(found.value)


@pytest.mark.parametrize("command", [["run", "--model"], ["self-test"], ["tune"]])
def test_every_command_is_checked(liver: Path, command: list[str], policy: Any, tmp_path: Path) -> None:
    policy({"sha256": [DIGEST]})
    images = [picture(str(tmp_path / "a.png"))] if "run" in command else []
    result = seg_edge(*command, liver, *images)
    assert result.exit_code == 1
    assert f"expected {DIGEST}, as the policy of this machine" in errors(result.stderr)[0]


def test_a_model_that_meets_it_runs_and_its_record_says_so(liver: Path, policy: Any) -> None:
    key = make_key(liver.parent, "ours")
    sign(liver, key)
    (liver.parent / "etc").mkdir(mode=0o755)
    kept = key.rename(liver.parent / "etc" / "ours.pub")
    digest = hashlib.sha256(liver.read_bytes()).hexdigest()
    policy({"signature": str(kept), "models": {"liver-ct": "1.2"}, "sha256": [digest]})
    with Segmenter(liver, provider="cpu", require=Requirements(sha256=(digest,))) as segmenter:
        found = segmenter(np.zeros((20, 20, 3), np.uint8)).record["model"]
    assert (found["name"], found["version"]) == ("liver-ct", "1.10")
    assert found["signature"]["verified"]
    assert found["required"] == {"run": ["sha256"], "machine": ["signature", "models", "sha256"]}
    with pytest.raises(ModelError, match="passed as bytes has no signature"):
        Segmenter(liver.read_bytes(), provider="cpu")


def test_what_this_machine_makes_is_proven_before_it_is_approved(model: Made, policy: Any) -> None:
    """Otherwise a machine with a policy could neither export a model nor tune an approved one."""
    policy({"sha256": [hashlib.sha256(model.path.read_bytes()).hexdigest()]})
    made = export(load(model.checkpoint))
    source = tuning.read_source(ModelFile(model.path).take())
    assert len(source.logits) == tuning.WINDOWS
    Segmenter(model.path, provider="cpu")
    policy({"sha256": [DIGEST]})
    with pytest.raises(ModelError, match="SHA-256"):
        Segmenter(made.content, provider="cpu")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cannot be used"),
        (b"{", "cannot be used"),
        (b"[]", "no JSON object"),
        (b"{}", "no JSON object with signature, models, sha256"),
        ({"sha": [DIGEST]}, "the entry 'sha' is unknown"),
        ({"models": {}}, "the entry 'models' is empty"),
        ({"models": ["liver-ct"]}, "the entry 'models' is empty or not as documented"),
        ({"models": {"liver-ct": 1}}, "the entry 'models' is empty or not as documented"),
        ({"models": {"liver-ct": "new"}}, "version 'new'"),
        ({"sha256": DIGEST}, "the entry 'sha256' is empty or not as documented"),
        ({"sha256": ["12"]}, "'12'; expected 64 hexadecimal digits"),
        ({"signature": "ours.pub"}, "the path of the key is not absolute"),
        ({"signature": "/none/ours.pub"}, "No such file"),
        (b'{"sha256": ["%s"], "sha256": ["%s"]}' % ((DIGEST.encode(),) * 2), "an entry occurs twice"),
        (b" " * (1 << 21), "more than 1048576 bytes"),
    ],
)
def test_a_policy_that_cannot_be_used_allows_no_model(
    model_file: Path, content: dict[str, Any] | bytes, says: str, policy: Any
) -> None:
    place = policy(content)
    with pytest.raises(ModelError, match=says) as found:
        Segmenter(model_file, provider="cpu")
    assert str(found.value).startswith(f"the policy of this machine, {place}, cannot be used (")
    assert "Ask the administrator to correct it: until then, no model runs." in str(found.value)


SPOILED: dict[str, Callable[[Path], None]] = {
    "writable by others": lambda place: place.chmod(0o666),
    "in a folder that others can write to": lambda place: place.parent.chmod(0o777),
    "a dangling link": lambda place: place.rename(place.parent / "away") and place.symlink_to("nowhere"),  # type: ignore[func-returns-value]
    "a folder": lambda place: (place.unlink(), place.mkdir())[0],  # type: ignore[func-returns-value]
    "in a file instead of a folder": lambda place: (place.unlink(), place.parent.rmdir(), place.parent.touch())[0],  # type: ignore[func-returns-value]
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_policy_that_is_not_the_administrators_allows_no_model(model: Made, how: str, policy: Any) -> None:
    place = policy({"sha256": [hashlib.sha256(model.path.read_bytes()).hexdigest()]})
    Segmenter(model.path, provider="cpu")
    SPOILED[how](place)
    with pytest.raises(ModelError, match="cannot be used"):
        Segmenter(model.path, provider="cpu")


def test_a_policy_of_another_user_allows_no_model(
    model_file: Path, policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy({"sha256": [DIGEST]})
    monkeypatch.setattr(machine, "OWNER", os.getuid() + 1)
    with pytest.raises(ModelError, match="belongs to another user than root"):
        Segmenter(model_file, provider="cpu")


def test_its_key_must_be_protected_too(model_file: Path, policy: Any, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    key = tmp_path / "key.pub"
    key.touch()
    policy({"signature": str(key)})
    with pytest.raises(ModelError, match="others can write to it"):
        Segmenter(model_file, provider="cpu")


def test_no_policy_requires_nothing(model_file: Path, policy: Any) -> None:
    place = policy({"sha256": [DIGEST]})
    place.unlink()
    assert ModelFile(model_file).take().trust.machine == ()
    place.parent.rmdir()
    assert ModelFile(model_file).take().trust.machine == ()


def test_its_place_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROGRAMDATA", "HOME", "XDG_CONFIG_HOME", "SYSTEMDRIVE"):
        monkeypatch.setenv(name, "elsewhere")
    assert machine._place() == machine.PLACE
    if os.name != "nt":
        assert str(machine.PLACE) == "/etc/seg-edge/policy.json"


def test_the_doctor_shows_it(policy: Any) -> None:
    place = policy({"models": {"liver-ct": "1.2", "lung": ""}, "sha256": [DIGEST]})
    result = ok(seg_edge("doctor", "--provider", "cpu"))
    report = json.loads(result.stdout)["policy"]
    assert report == {
        "file": str(place), "signature": None, "models": {"liver-ct": "1.2", "lung": ""}, "sha256": [DIGEST],
    }  # fmt: skip
    assert f"{place}: models liver-ct 1.2 or newer, lung; 1 SHA-256" in result.stderr
    place.write_text("{}")
    result = ok(seg_edge("doctor", "--provider", "cpu"))
    assert f"the policy of this machine, {place}, cannot be used" in json.loads(result.stdout)["findings"][0]["problem"]
    place.unlink()
    result = ok(seg_edge("doctor", "--provider", "cpu"))
    assert json.loads(result.stdout)["policy"] is None
    assert "policy" not in result.stderr


def test_a_key_that_is_missing_is_an_error_of_the_run(liver: Path) -> None:
    with pytest.raises(SegError, match="signature"):
        Segmenter(liver, provider="cpu", require=Requirements(signature="none.pub"))
