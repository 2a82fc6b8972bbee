"""Checkpoints: weights, the arguments that rebuild the network, and the Contract. Loaded with `weights_only=True`."""

from __future__ import annotations

import hashlib
import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from seg_runtime.model import Contract
from seg_runtime.support import ModelError, read_file, versions_of, write_atomic
from torch import Tensor, nn

from ..data import ClassValues
from ..networks import Network, build
from .archive import check_archive
from .split import Split

_ANY_FORMAT = "seg-edge checkpoint"
FORMAT = f"{_ANY_FORMAT} 1"
_EXPECTED = "a checkpoint made by seg-train"
_KINDS = {"network": dict, "state": dict, "contract": str, "classes": list, "training": dict, "reader": str}
_RESUMABLE = {
    "model", "average", "optimizer", "schedule", "scaler", "step", "windows", "best", "rows", "losses", "rng", "settings",
}  # fmt: skip
_LARGEST = 1 << 16  # of a number in the description of a network, such as its width


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
        split: images of the training; empty if they are not known.
    """

    network: dict[str, Any]
    state: dict[str, Tensor]
    contract: Contract
    classes: tuple[ClassValues, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    reader: str = "pairs"
    split: Split = field(default_factory=Split)

    @classmethod
    def finished(
        cls, network: Network, contract: Contract, classes: tuple[ClassValues, ...], reader: str,
        split: Split | None = None, **facts: Any,
    ) -> Checkpoint:  # fmt: skip
        """Make the checkpoint of a finished network.

        Args:
            network: network with its weights, which are copied.
            contract: contract without provenance.
            classes: classes with their mask values.
            reader: reader of the data set.
            split: images of the training, if they are known; the provenance gets their numbers.
            facts: further entries of the provenance, in addition to the digest of the weights, the network and the versions.
        """
        split = split or Split()
        provenance = {
            "weights_sha256": weights_sha256(network),
            **versions_of(torch=torch),
            "network": network.described,
            **({"images": split.counts()} if split else {}),
            **facts,
        }
        state = {name: value.detach().clone() for name, value in network.state_dict().items()}
        made = replace(contract, provenance=provenance)
        return cls(network.described, state, made, classes, reader=reader, split=split)

    def build(self) -> Network:
        """Build the network with its weights, in evaluation mode."""
        try:
            _check_shapes(self.network, self.state)
            model = build(self.network)
            model.load_state_dict(self.state)
        except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            problem = f"the checkpoint's weights do not fit its network ({error})"
            raise ModelError(problem, _EXPECTED, "train the model again") from error
        return model.eval()


def _check_shapes(network: dict[str, Any], state: dict[str, Tensor]) -> None:
    """Compare the weights with the network that a file describes, before it takes the memory of that network.

    Raises:
        RuntimeError: they differ, or the description has absurd numbers.
    """
    if odd := next((k for k, v in network.items() if isinstance(v, int) and not 0 <= v <= _LARGEST), ""):
        raise RuntimeError(f"its network has {odd} = {str(network[odd])[:20]}")
    with torch.device("meta"):  # shapes alone
        wanted = {name: value.shape for name, value in build(network).state_dict().items()}
    given = {name: value.shape for name, value in state.items()}
    if differing := sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name)):
        raise RuntimeError(f"{len(differing)} of its tensors have other names or shapes, the first is {differing[0]}")


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
        "split": checkpoint.split.to_dict(),
    }
    write_atomic(path, lambda file: torch.save(content, file))


def load(path: Path) -> Checkpoint:
    """Read a checkpoint. Nothing in the file is executed.

    Raises:
        ModelError: if the file is missing, damaged, or not made by seg-train.
        ContractError: if its contract is invalid.
    """
    content = read_torch(path, _EXPECTED, f"check the file; if another program wrote it, {_import(path)}")
    if not _is_ours(content):
        advice = f"import it: {_command(path)}" if _holds_state(content) else _import(path)
        raise ModelError(f"{path} is a PyTorch file of another program", _EXPECTED, advice)
    if content["format"] != FORMAT:
        raise ModelError(f"{path} is not in the format {FORMAT!r}", _EXPECTED, "train the model with this version")
    if missing := [
        key for key in ("network", "state", "contract", "classes", "training", "reader") if key not in content
    ]:
        raise ModelError(f"{path} lacks {', '.join(missing)}", _EXPECTED, "train the model again")
    for key, kind in _KINDS.items():
        if not isinstance(content[key], kind):
            raise ModelError(f"{path} has an entry {key} of another type", _EXPECTED, "train the model again")
    if not all(isinstance(value, Tensor) and value.layout == torch.strided for value in content["state"].values()):
        raise ModelError(f"{path} has weights that are no dense tensors", _EXPECTED, "train the model again")
    if not all(isinstance(v, list) and all(type(n) is int for n in v) for v in content["classes"]):
        raise ModelError(f"{path} has mask values that are no integers", _EXPECTED, "train the model again")
    if content["training"] and (missing := _RESUMABLE - content["training"].keys()):
        problem = f"{path} lacks {', '.join(sorted(missing))} of an interrupted training"
        raise ModelError(problem, _EXPECTED, "start the training again with --overwrite")
    contract = Contract.from_json(content["contract"])
    classes = tuple(ClassValues(info, tuple(v)) for info, v in zip(contract.classes, content["classes"], strict=False))
    try:
        split = Split.stored(content.get("split", {}))  # files of before have none
    except ValueError as error:
        raise ModelError(f"{path} is damaged ({error})", _EXPECTED, "train the model again") from error
    return Checkpoint(
        content["network"], content["state"], contract, classes, content["training"], content["reader"], split
    )


def is_checkpoint(path: Path) -> bool:
    """Return whether a file has the format of seg-train, of any version, and not weights of another program.

    Raises:
        ModelError: if the file is missing, damaged, or not a file of PyTorch.
    """
    content = read_torch(path, _EXPECTED, f"check the file; if another program wrote it, {_import(path)}")
    return _is_ours(content)


def _is_ours(content: object) -> bool:
    return isinstance(content, dict) and str(content.get("format")).startswith(_ANY_FORMAT)


def _import(path: Path) -> str:
    return f"save its state_dict and import it: {_command(path)}"


def _command(path: Path) -> str:
    return f"seg-edge import {path} DATA -o model.pt"


def _holds_state(content: object) -> bool:
    """Return whether the file is a state dict, or has one as an entry."""
    if not isinstance(content, Mapping):
        return False
    nested = [value for value in content.values() if isinstance(value, Mapping)]
    return any(isinstance(value, Tensor) for part in (content, *nested) for value in part.values())


def read_torch(path: Path, expected: str, advice: str) -> Any:
    """Read a file that PyTorch saved. Nothing in the file is executed.

    Args:
        path: path of the file.
        expected: what the file should be, for errors.
        advice: advice of the error if PyTorch cannot read the file.

    Raises:
        ModelError: if the file is missing, damaged, or of another kind.
    """
    data = b""
    try:
        data = read_file(path)
        check_archive(data)
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"{path} does not exist", expected, "check the path") from error
    except IsADirectoryError as error:
        raise ModelError(f"{path} is a folder", expected, "give the path of the file in it") from error
    except Exception as error:  # torch, pickle and zipfile raise many different errors for damaged or foreign files
        if not zipfile.is_zipfile(io.BytesIO(data)):  # PyTorch saves ZIP files; its message would be about unpickling
            exported = path.suffix.lower() == ".onnx"
            advice = "use the checkpoint from which it was exported, model.pt" if exported else "check the path"
            raise ModelError(f"{path} is not {expected}", "", advice) from error
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        if isinstance(error, pickle.UnpicklingError):  # PyTorch's message advises to execute what is in the file
            reason = "it is damaged, or holds Python objects other than tensors"
        raise ModelError(f"{path} cannot be read ({reason})", expected, advice) from error


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 of all weights: their names, shapes, dtypes and values, sorted by name."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        array = value.detach().cpu().contiguous().numpy()
        digest.update(f"{name} {array.shape} {array.dtype}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
