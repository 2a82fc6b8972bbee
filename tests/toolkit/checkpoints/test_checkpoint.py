from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from seg_runtime.support.errors import ContractError, ModelError, SegError
from seg_toolkit.checkpoints import Checkpoint, load, save, weights_sha256
from seg_toolkit.checkpoints.checkpoint import FORMAT
from seg_toolkit.checkpoints.foreign import read_state
from seg_toolkit.networks.attention import AttentionUNet
from seg_toolkit.networks.multiscale import MultiScaleUNet
from seg_toolkit.networks.unet import UNet

from tests.support.commands import seg_train
from tests.support.contracts import contract
from tests.support.folders import TWO


def checkpoint(**training: Any) -> Checkpoint:
    torch.manual_seed(0)
    model = UNet(1, 2, width=1)
    return Checkpoint(model.described, model.state_dict(), contract(), TWO, training)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save(checkpoint(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def content(path: Path) -> dict[str, Any]:
    found = torch.load(path, weights_only=True)
    assert isinstance(found, dict)
    return found


def test_round_trip_gives_the_same_answers(saved: Path) -> None:
    x = torch.randn(1, 1, 204, 204)
    assert torch.equal(load(saved).build()(x), checkpoint().build()(x))


def test_round_trip_keeps_contract_and_classes(saved: Path) -> None:
    assert load(saved).contract == contract()
    assert load(saved).classes == TWO


def test_a_network_is_built_without_the_compiler_of_torch(saved: Path) -> None:
    """Its import takes as long as that of torch."""
    code = "import sys; from pathlib import Path; from seg_toolkit.checkpoints import load; load(Path(sys.argv[1])).build()"
    code += "; print('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(saved)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_built_network_is_in_evaluation_mode(saved: Path) -> None:
    assert not load(saved).build().training


def test_torch_loads_it_with_weights_only(saved: Path) -> None:
    assert content(saved)["format"] == FORMAT


def test_digest_changes_with_one_weight() -> None:
    model = checkpoint().build()
    before = weights_sha256(model)
    assert weights_sha256(checkpoint().build()) == before
    with torch.no_grad():
        model.head.bias[0] += 1e-6
    assert weights_sha256(model) != before


class Trap:
    """Unpickled, it would touch a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_malicious_checkpoint_is_refused_and_not_executed(tmp_path: Path) -> None:
    torch.save({"format": FORMAT, "trap": Trap(tmp_path / "sprung")}, tmp_path / "model.pt")
    with pytest.raises(ModelError, match=r"model\.pt"):
        load(tmp_path / "model.pt")
    assert not (tmp_path / "sprung").exists()


def test_malicious_plain_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(pickle.dumps(Trap(tmp_path / "sprung"), protocol=2))
    with pytest.raises(ModelError, match=r"model\.pt"):
        load(tmp_path / "model.pt")
    assert not (tmp_path / "sprung").exists()


def test_the_trap_works(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


def empty_zip() -> bytes:
    file = io.BytesIO()
    zipfile.ZipFile(file, "w").close()
    return file.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x80\x02.", b"\x80\x02}.", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", empty_zip(), b"\0" * 999]
)
def test_foreign_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.pt"):
        load(tmp_path / "model.pt")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_truncated_file_is_refused(saved: Path, share: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError, match=r"model\.pt"):
        load(saved)


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        load(tmp_path / "model.pt")
    with pytest.raises(ModelError, match="is a folder"):
        load(tmp_path)


@pytest.mark.parametrize("other", [[1, 2], {"format": "something else"}, {}, {"state": {}}, {"a": torch.zeros(1)}])
def test_a_file_of_another_program_is_refused_with_the_way_to_import_it(tmp_path: Path, other: object) -> None:
    torch.save(other, tmp_path / "unet.pth")
    with pytest.raises(ModelError, match=r"of another program.* seg-edge import .*unet\.pth DATA -o model\.pt"):
        load(tmp_path / "unet.pth")


@pytest.mark.parametrize("nested", [False, True])
def test_a_state_dict_is_to_be_imported_as_it_is(tmp_path: Path, nested: bool) -> None:
    state = torch.nn.Conv2d(1, 2, 3).state_dict()
    torch.save({"epoch": 3, "model": state} if nested else state, tmp_path / "unet.pth")
    with pytest.raises(ModelError, match=r"made by seg-train\. Import it: seg-edge import .*unet\.pth DATA"):
        load(tmp_path / "unet.pth")


def test_another_format_is_refused(tmp_path: Path) -> None:
    torch.save({"format": "seg-edge checkpoint 9"}, tmp_path / "model.pt")
    with pytest.raises(ModelError, match="not in the format"):
        load(tmp_path / "model.pt")


@pytest.mark.parametrize("key", ["network", "state", "contract", "classes", "training", "reader"])
def test_missing_part_is_refused(saved: Path, key: str) -> None:
    parts = content(saved)
    del parts[key]
    torch.save(parts, saved)
    with pytest.raises(SegError, match=rf"lacks .*{key}"):
        load(saved)


def test_spoiled_contract_is_refused(saved: Path) -> None:
    torch.save({**content(saved), "contract": "{}"}, saved)
    with pytest.raises(ContractError, match="version"):
        load(saved)


def test_weights_of_another_network_are_refused(saved: Path) -> None:
    other = load(saved)
    other.network["width"] = 2
    with pytest.raises(ModelError, match="do not fit"):
        other.build()


def test_unknown_argument_is_refused(saved: Path) -> None:
    other = load(saved)
    other.network["wings"] = 2
    with pytest.raises(ModelError, match="wings"):
        other.build()


def test_error_is_one_line(saved: Path) -> None:
    other = load(saved)
    other.network["width"] = 2
    with pytest.raises(ModelError) as caught:
        other.build()
    assert "\n" not in str(caught.value)


def test_a_failing_save_keeps_the_old_file(saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(Exception, match=r"pickle|local"):
        save(checkpoint(step=lambda: None), saved)
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["model.pt"]


CONVOLUTIONS = (  # of two poolings, in the order in which checkpoints have always held them; --resume relies on it, too
    "down.0.0", "down.0.2", "down.1.0", "down.1.2", "bottom.0", "bottom.2", "up.0", "up.1",
    "merge.0.0", "merge.0.2", "merge.1.0", "merge.1.2", "head",
)  # fmt: skip
GATES = [
    "gates.0.skip.weight", "gates.0.gating.weight", "gates.0.gating.bias", "gates.0.psi.weight", "gates.0.psi.bias",
    "gates.1.skip.weight", "gates.1.gating.weight", "gates.1.gating.bias", "gates.1.psi.weight", "gates.1.psi.bias",
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "more"),
    [(UNet, []), (AttentionUNet, GATES), (MultiScaleUNet, ["helpers.0.weight", "helpers.0.bias"])],
)
def test_weights_keep_their_names_and_their_order(kind: type[UNet], more: list[str]) -> None:
    shared = [f"{name}.{part}" for name in CONVOLUTIONS for part in ("weight", "bias")]
    assert list(kind(1, 2, 1, 2).state_dict()) == shared + more


def test_what_is_no_checkpoint_is_told_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07 a graph")
    with pytest.raises(ModelError, match=r"m\.onnx is not a checkpoint made by seg-train"):
        load(tmp_path / "m.onnx")
    told = seg_train(tmp_path, "-o", tmp_path / "new.onnx")
    assert (told.exit_code, "Use seg-export to make the ONNX file from it" in told.stderr) == (2, True)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("contract", 5, "an entry contract of another type"),
        ("contract", b"{}", "an entry contract of another type"),
        ("network", [1], "an entry network of another type"),
        ("state", [], "an entry state of another type"),
        ("state", {"head.weight": 3}, "no dense tensors"),
        ("state", {"head.weight": torch.eye(3).to_sparse()}, "no dense tensors"),
        ("classes", "ab", "an entry classes of another type"),
        ("classes", [[0], 5], "no integers"),
        ("classes", [[0], ["x"]], "no integers"),
        ("training", {"step": 3, "model": {}}, "lacks average, best, "),
        ("reader", None, "an entry reader of another type"),
    ],
)
def test_an_entry_of_another_kind_is_refused(saved: Path, key: str, value: object, reason: str) -> None:
    torch.save({**content(saved), key: value}, saved)
    with pytest.raises(ModelError, match=reason):
        load(saved)


def test_a_class_without_a_colour_is_refused(saved: Path) -> None:
    found = content(saved)
    contract_text = found["contract"].replace('"color": [0, 0, 0], ', "")
    torch.save({**found, "contract": contract_text}, saved)
    with pytest.raises(ContractError, match="color"):
        load(saved)


@pytest.mark.parametrize(
    ("name", "value"), [("width", 6000), ("width", 10**9), ("depth", 40), ("width", -1), ("width", 2.5)]
)
def test_a_network_that_the_weights_do_not_fit_takes_no_memory(saved: Path, name: str, value: float) -> None:
    """40 KB that describe a network of 6 GB: the shapes are compared before it is built."""
    found = content(saved)
    torch.save({**found, "network": {**found["network"], name: value}}, saved)
    before = peak_kib()
    with pytest.raises(ModelError, match="do not fit its network"):
        load(saved).build()
    assert peak_kib() - before < 200_000


def peak_kib() -> int:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])


@pytest.mark.parametrize("odd", ["sparse", "quantized"])
def test_an_import_of_tensors_that_are_not_dense_is_refused(tmp_path: Path, odd: str) -> None:
    dense = torch.eye(3)
    made = dense.to_sparse() if odd == "sparse" else torch.quantize_per_tensor(dense, 0.1, 0, torch.qint8)
    torch.save({"conv.weight": made}, tmp_path / "state.pt")
    with pytest.raises(ModelError, match=r"sparse or quantized tensor conv\.weight"):
        read_state(tmp_path / "state.pt")


def test_a_checkpoint_that_is_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.pt")
    with pytest.raises(ModelError, match=r"model\.pt"):
        load(tmp_path / "model.pt")
