"""Keys, signatures, renamed models and the policy of a machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from seg_export.graph import stamped
from seg_runtime.model import GOLDEN_KEY, Identity, ModelFile
from seg_runtime.model.trust import machine

from .models import Made
from .tools import missing


def make_key(folder: Path, name: str) -> Path:
    """An elliptic key pair; the path of the public one."""
    if shutil.which("openssl") is None:
        missing("openssl is not installed")
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    words = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private)]
    subprocess.run(words, check=True, capture_output=True)
    words = ["openssl", "ec", "-in", str(private), "-pubout", "-out", str(public)]
    subprocess.run(words, check=True, capture_output=True)
    return public


def sign(model: Path, key: Path) -> Path:
    """The signature beside the model, as the command line of model-signing makes it."""
    signature = model.with_name(model.name + ".sig")
    words = ["-m", "model_signing", "sign", "key", str(model), "--private_key", str(key.with_suffix(".pem"))]
    subprocess.run([sys.executable, *words, "--signature", str(signature)], check=True, capture_output=True)
    return signature


def renamed(model: Made, path: Path, name: str, version: str = "") -> Path:
    """The same model with another name and version, at a path."""
    content = ModelFile.made(model.path.read_bytes()).take()
    golden = bytes(content.onnx.metadata[GOLDEN_KEY]).decode()
    contract = replace(content.contract, identity=Identity(name, version))
    path.write_bytes(stamped(onnx.load_model_from_string(content.data), contract, golden))
    return path


def set_policy(monkeypatch: pytest.MonkeyPatch, folder: Path, policy: dict[str, Any] | bytes) -> Path:
    """Give this machine a policy that belongs to this user, and return its path."""
    place = folder / "policy.json"
    folder.mkdir(mode=0o755, exist_ok=True)
    place.write_bytes(policy if isinstance(policy, bytes) else json.dumps(policy).encode())
    monkeypatch.setattr(machine, "PLACE", place)
    monkeypatch.setattr(machine, "OWNER", os.getuid())
    return place
