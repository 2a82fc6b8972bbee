"""A checkpoint: the weights, the arguments that rebuild the network, the Contract. Loaded with `weights_only=True`."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from seg_runtime.model.contract import Contract
from seg_runtime.support.atomic import write_atomic
from seg_runtime.support.errors import ModelError
from torch import Tensor, nn

from ..networks import Network, build

FORMAT = "seg-edge checkpoint 1"
WANTED = "a checkpoint made by seg-train"


@dataclass
class Checkpoint:
    """What `seg-train` writes.

    Attributes:
        network: `kind` and arguments of the network, for `networks.build`.
        state: its state dict.
        contract: all that makes pre- and post-processing identical, provenance included.
        classes: names, colours and mask values, to read the masks of a data set again.
        reader: of the data set, to score it again.
        training: what `--resume` needs; empty in a finished model.
    """

    network: dict[str, Any]
    state: dict[str, Tensor]
    contract: Contract
    classes: list[dict[str, Any]]
    training: dict[str, Any] = field(default_factory=dict)
    reader: str = "pairs"

    def build(self) -> Network:
        """The network with its weights, in evaluation mode."""
        try:
            model = build(self.network)
            model.load_state_dict(self.state)
        except (TypeError, RuntimeError) as error:
            raise ModelError(
                f"the checkpoint's weights do not fit its network ({error})", WANTED, "train it again"
            ) from error
        return model.eval()


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint in one step."""
    content = {
        "format": FORMAT,
        "network": checkpoint.network,
        "state": {name: value.detach().cpu() for name, value in checkpoint.state.items()},
        "contract": checkpoint.contract.to_json(),
        "classes": checkpoint.classes,
        "training": checkpoint.training,
        "reader": checkpoint.reader,
    }
    write_atomic(path, lambda file: torch.save(content, file))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; nothing in the file is executed.

    Raises:
        ModelError: missing, damaged, or not made by seg-train.
        ContractError: its contract cannot be followed.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"checkpoint {path} does not exist", WANTED, "check the path") from error
    except IsADirectoryError as error:
        raise ModelError(f"{path} is a folder", WANTED, "name the file in it") from error
    except Exception as error:  # torch, pickle and zipfile raise a dozen kinds on a damaged or foreign file
        if not zipfile.is_zipfile(path):  # which all that torch saves is; its own message is about how it unpickles
            raise ModelError(f"{path} is no checkpoint", WANTED, "check the path") from error
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise ModelError(f"{path} cannot be read ({reason})", WANTED, "check the file") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelError(f"{path} is not in the format {FORMAT!r}", WANTED, "train with this version")
    keys = ("network", "state", "classes", "training")
    if missing := [k for k in (*keys, "contract") if k not in content]:
        raise ModelError(f"{path} lacks {missing}", WANTED, "train it again")
    contract, reader = Contract.from_json(content["contract"]), content.get("reader", "pairs")
    return Checkpoint(contract=contract, reader=reader, **{k: content[k] for k in keys})


def weights_sha256(model: nn.Module) -> str:
    """Digest of all weights: names, shapes, dtypes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        array = value.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.shape} {array.dtype}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
