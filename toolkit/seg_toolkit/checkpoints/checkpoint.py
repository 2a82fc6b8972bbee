"""Checkpoints: weights, the arguments that rebuild the network, and the Contract. Loaded with `weights_only=True`."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from seg_runtime.model import Contract
from seg_runtime.support import ModelError, versions_of, write_atomic
from torch import Tensor, nn

from ..data import ClassValues
from ..networks import Network, build

FORMAT = "seg-edge checkpoint 1"
_EXPECTED = "a checkpoint made by seg-train"


@dataclass
class Checkpoint:
    """The content of a file that `seg-train` writes.

    Attributes:
        network: `kind` and arguments of the network, for `networks.build`.
        state: state dict of the network.
        contract: everything that makes pre- and post-processing identical, including the provenance.
        classes: classes of the contract with their mask values, needed to read masks again; empty without masks.
        training: state for `--resume`; empty in a finished model.
        reader: reader of the data set, needed to score the model again.
    """

    network: dict[str, Any]
    state: dict[str, Tensor]
    contract: Contract
    classes: tuple[ClassValues, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    reader: str = "pairs"

    @classmethod
    def finished(
        cls, network: Network, contract: Contract, classes: tuple[ClassValues, ...], reader: str, **facts: Any
    ) -> Checkpoint:
        """Make the checkpoint of a finished network.

        Args:
            network: network with its weights, which are copied.
            contract: contract without provenance.
            classes: classes with their mask values.
            reader: reader of the data set.
            facts: further entries of the provenance, in addition to the digest of the weights, the network and the versions.
        """
        provenance = {
            "weights_sha256": weights_sha256(network),
            **versions_of(torch=torch),
            "network": network.described,
            **facts,
        }
        state = {name: value.detach().clone() for name, value in network.state_dict().items()}
        return cls(network.described, state, replace(contract, provenance=provenance), classes, reader=reader)

    def build(self) -> Network:
        """Build the network with its weights, in evaluation mode."""
        try:
            model = build(self.network)
            model.load_state_dict(self.state)
        except (TypeError, RuntimeError) as error:
            problem = f"the checkpoint's weights do not fit its network ({error})"
            raise ModelError(problem, _EXPECTED, "train the model again") from error
        return model.eval()


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint atomically."""
    content = {
        "format": FORMAT,
        "network": checkpoint.network,
        "state": {name: value.detach().cpu() for name, value in checkpoint.state.items()},
        "contract": checkpoint.contract.to_json(),
        "classes": [list(entry.values) for entry in checkpoint.classes],
        "training": checkpoint.training,
        "reader": checkpoint.reader,
    }
    write_atomic(path, lambda file: torch.save(content, file))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint. Nothing in the file is executed.

    Raises:
        ModelError: if the file is missing, damaged, or not made by seg-train.
        ContractError: if its contract is invalid.
    """
    content = read_torch(path, _EXPECTED, "check the file")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelError(f"{path} is not in the format {FORMAT!r}", _EXPECTED, "train the model with this version")
    if missing := [
        key for key in ("network", "state", "contract", "classes", "training", "reader") if key not in content
    ]:
        raise ModelError(f"{path} lacks {', '.join(missing)}", _EXPECTED, "train the model again")
    contract = Contract.from_json(content["contract"])
    classes = tuple(ClassValues(info, tuple(v)) for info, v in zip(contract.classes, content["classes"], strict=False))
    return Checkpoint(content["network"], content["state"], contract, classes, content["training"], content["reader"])


def read_torch(path: Path, expected: str, advice: str) -> Any:
    """Read a file that PyTorch saved. Nothing in the file is executed.

    Args:
        path: path of the file.
        expected: what the file should be, for errors.
        advice: advice of the error if PyTorch cannot read the file.

    Raises:
        ModelError: if the file is missing, damaged, or of another kind.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist", expected, "check the path") from error
    except IsADirectoryError as error:
        raise ModelError(f"{path} is a folder", expected, "give the path of the file in it") from error
    except Exception as error:  # torch, pickle and zipfile raise many different errors for damaged or foreign files
        if not zipfile.is_zipfile(path):  # PyTorch saves ZIP files; its own message here would be about unpickling
            raise ModelError(f"{path} is not {expected}", "", "check the path") from error
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise ModelError(f"{path} cannot be read ({reason})", expected, advice) from error


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 of all weights: their names, shapes, dtypes and values, sorted by name."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        array = value.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.shape} {array.dtype}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
