"""A checkpoint: the weights, the arguments that rebuild the network, the Contract. Loaded with `weights_only=True`."""

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
_WANTED = "a checkpoint made by seg-train"


@dataclass
class Checkpoint:
    """What `seg-train` writes.

    Attributes:
        network: `kind` and arguments of the network, for `networks.build`.
        state: its state dict.
        contract: all that makes pre- and post-processing identical, provenance included.
        classes: those of the contract with their mask values, to read the masks of a data set again; empty without masks.
        training: what `--resume` needs; empty in a finished model.
        reader: of the data set, to score it again.
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
        """The checkpoint of a network that is ready to be used.

        Args:
            network: with its weights, which are copied.
            contract: without provenance.
            classes: with their mask values.
            reader: of the data set.
            facts: for the provenance, besides the digest of the weights, the network and the versions.
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
        """The network with its weights, in evaluation mode."""
        try:
            model = build(self.network)
            model.load_state_dict(self.state)
        except (TypeError, RuntimeError) as error:
            problem = f"the checkpoint's weights do not fit its network ({error})"
            raise ModelError(problem, _WANTED, "train it again") from error
        return model.eval()


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint in one step."""
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
    """Read a checkpoint; nothing in the file is executed.

    Raises:
        ModelError: missing, damaged, or not made by seg-train.
        ContractError: its contract cannot be followed.
    """
    content = read_torch(path, _WANTED, "check the file")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelError(f"{path} is not in the format {FORMAT!r}", _WANTED, "train with this version")
    if missing := [
        key for key in ("network", "state", "contract", "classes", "training", "reader") if key not in content
    ]:
        raise ModelError(f"{path} lacks {missing}", _WANTED, "train it again")
    contract = Contract.from_json(content["contract"])
    classes = tuple(ClassValues(info, tuple(v)) for info, v in zip(contract.classes, content["classes"], strict=False))
    return Checkpoint(content["network"], content["state"], contract, classes, content["training"], content["reader"])


def read_torch(path: Path, wanted: str, fix: str) -> Any:
    """The content of a file that torch saved; nothing in the file is executed.

    Args:
        path: of the file.
        wanted: what it should be, for errors.
        fix: what an error advises where torch cannot read it.

    Raises:
        ModelError: missing, damaged or of another kind.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist", wanted, "check the path") from error
    except IsADirectoryError as error:
        raise ModelError(f"{path} is a folder", wanted, "name the file in it") from error
    except Exception as error:  # torch, pickle and zipfile raise a dozen kinds on a damaged or foreign file
        if not zipfile.is_zipfile(path):  # which all that torch saves is; its own message is about how it unpickles
            raise ModelError(f"{path} is not {wanted}", "", "check the path") from error
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise ModelError(f"{path} cannot be read ({reason})", wanted, fix) from error


def weights_sha256(model: nn.Module) -> str:
    """Digest of all weights: names, shapes, dtypes and values, in the order of the names."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        array = value.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.shape} {array.dtype}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
