"""What training reads: checkpoints, state dicts of other programs, options. Metadata of readers go here, too."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from seg_toolkit.checkpoints import fit_weights, load, read_state
from seg_toolkit.cli.train import main as train
from seg_toolkit.networks.unet import UNet
from seg_toolkit.options import read_config
from torch import Tensor

from tests.fuzz.target import Seed, Target, in_folder
from tests.support.contracts import contract


def _network() -> UNet:
    torch.manual_seed(0)
    return UNet(1, 2, 2, depth=2)


def _foreign_state() -> dict[str, Tensor]:
    """The state dict of a network whose layers are in the order of other programs."""
    return {
        f"{name}.{part}": value
        for name, layer in _network().layers_in_order()
        for part, value in layer.state_dict().items()
    }


def _as_json(value: Any) -> Any:
    """A tree of PyTorch objects as JSON, in which a tensor is its dtype, shape and layout."""
    if isinstance(value, Tensor):
        return {"tensor": str(value.dtype).removeprefix("torch."), "shape": list(value.shape), "layout": "dense"}
    if isinstance(value, Mapping):
        return {key: _as_json(inner) for key, inner in value.items()}
    return [_as_json(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _as_torch(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_torch(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {"tensor", "shape", "layout"}:
        return {key: _as_torch(inner) for key, inner in value.items()}
    try:
        if abs(float(torch.tensor(value["shape"], dtype=torch.float64).prod())) > 1 << 16:
            return torch.zeros(1).expand(*value["shape"])  # a few bytes that claim to be many
        made = torch.zeros(value["shape"], dtype=getattr(torch, value["tensor"]))
        return made if value["layout"] == "dense" else made.to_sparse()
    except Exception:
        return value


def _saved(content: bytes) -> bytes:
    """A file that PyTorch saved, of JSON; of other contents as they are."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return content
    file = io.BytesIO()
    try:
        torch.save(_as_torch(tree), file)
    except Exception:  # numbers that pickle or torch cannot write
        return content
    return file.getvalue()


def _seeds(tree: Any) -> Mapping[str, Seed]:
    text = json.dumps(_as_json(tree)).encode()
    whole = _saved(text)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    pickled = next(name for name in members if name.endswith("data.pkl"))

    def zipped(content: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name), content if name == pickled else data)
        return file.getvalue()

    old = io.BytesIO()
    torch.save(tree, old, _use_new_zipfile_serialization=False)
    return {
        "tree": Seed(text, _saved), "file": Seed(whole), "pickle": Seed(members[pickled], zipped),
        "file of an old PyTorch": Seed(old.getvalue()),
    }  # fmt: skip


def _checkpoint() -> Any:
    network = _network()
    return {
        "format": "seg-edge checkpoint 1", "network": network.described, "state": network.state_dict(),
        "contract": contract().to_json(), "classes": [[0], [255]], "training": {}, "reader": "pairs",
    }  # fmt: skip


def _load(path: Path) -> None:
    load(path).build()


def _import(path: Path) -> None:
    fit_weights(_network(), read_state(path))


def _read_options(path: Path) -> None:
    values = read_config(path, train.params)
    for name, value in values.items():
        assert isinstance(name, str)
        assert isinstance(value, (str, int, float)) or value is not None


_TOML = b"""# words
[network]
width = 16
lr = 1e-3
[data]
classes = "background,cell"
augment = "slight"
overwrite = true
steps = 0x10
"""

TARGETS = {
    "checkpoint": Target(in_folder(_load, "a.pt"), lambda: _seeds(_checkpoint()), most_mib=160),
    "state": Target(in_folder(_import, "a.pt"), lambda: _seeds(_foreign_state()), most_mib=160),
    "options": Target(in_folder(_read_options, "a.toml"), lambda: {"toml": Seed(_TOML)}),
}
