"""Trainings that start from another model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from seg_runtime.model import OutputInfo, ValueSpec
from seg_toolkit.checkpoints import digest_of, load, save
from seg_toolkit.networks import KeptMap
from seg_toolkit.networks.unet import UNet
from seg_toolkit.training import OBJECTIVES, RunFiles

from tests.support.commands import error_of, ok, seg_edge, seg_run, seg_train
from tests.support.contracts import contract
from tests.support.folders import write_pairs
from tests.support.images import disc, put
from tests.support.training import planned

TINY = ("--width", "2", "--depth", "1", "--input-size", "28", "--workers", "0", "--geometry", "fit", "--device", "cpu")
REST = ("--workers", "0", "--device", "cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("data"), 4)


@pytest.fixture(scope="module")
def parent(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with batch norm, of the classes background and cell."""
    out = tmp_path_factory.mktemp("parent") / "parent.pt"
    classes = ("--classes", "background=0,cell=255", "--intensity", "scale", "--norm", "batch")
    ok(seg_train(data, "-o", out, *TINY, *classes, "--steps", "2"))
    return out


def child(parent: Path, data: Path, out: Path, *more: object) -> str:
    words = (data, "-o", out, *REST, "--from", parent, "--steps", "1", "--lr", "1e-9", *more)
    return ok(seg_train(*words)).stderr


def test_weights_are_kept_by_the_names_of_classes(parent: Path, data: Path, tmp_path: Path) -> None:
    mask = disc()
    mask[:4, :4] = 100
    put(tmp_path / "more" / "masks" / "b.png", mask)
    put(tmp_path / "more" / "images" / "b.png", mask // 2)
    put(tmp_path / "more" / "masks" / "c.png", mask)
    put(tmp_path / "more" / "images" / "c.png", mask // 3)
    told = child(parent, tmp_path / "more", tmp_path / "m.pt", "--classes", "dirt=0,cell=255,background=100")
    assert f"weights: from {parent}, kept background, cell; new: dirt" in told
    old, new = load(parent).state, load(tmp_path / "m.pt").state
    for part in ("head.weight", "head.bias"):
        torch.testing.assert_close(new[part][[0, 2]], old[part], rtol=0, atol=1e-6)
    torch.testing.assert_close(new["bottom.0.weight"], old["bottom.0.weight"], rtol=0, atol=1e-6)
    assert torch.count_nonzero(new["head.weight"][1]) == 2
    assert new["head.bias"][1].abs() < 1e-6
    told = child(parent, data, tmp_path / "other.pt")
    assert "kept background; new: foreground; not used: cell" in told
    assert "give a class its name in the parent" in told


def test_the_new_model_names_its_parent(parent: Path, data: Path, tmp_path: Path) -> None:
    child(parent, data, tmp_path / "m.pt", "--freeze", "encoder")
    provenance = load(tmp_path / "m.pt").contract.provenance
    assert provenance["parent"] == {
        "file": "parent.pt", "sha256": digest_of(parent), "frozen": "encoder",
        "weights_sha256": load(parent).contract.provenance["weights_sha256"],
    }  # fmt: skip
    assert "parent" not in load(parent).contract.provenance


def test_what_the_weights_were_fitted_to_is_kept(parent: Path, data: Path, tmp_path: Path) -> None:
    told = child(parent, data, tmp_path / "m.pt")
    assert "intensity: scale (as in parent.pt)" in told
    assert "geometry: fit (as in parent.pt)" in told
    made = load(tmp_path / "m.pt")
    assert made.network == load(parent).network
    assert made.contract.geometry == load(parent).contract.geometry
    more = ("--input-size", "44", "--intensity", "zscore", "--geometry", "stretch", "--dropout", "0")
    child(parent, data, tmp_path / "other.pt", *more)
    other = load(tmp_path / "other.pt").contract
    assert (other.geometry.input_shape, other.geometry.method, other.input.intensity.method) == (
        (44, 44),
        "stretch",
        "zscore",
    )


def test_numbers_for_other_channels_are_measured_again(data: Path, tmp_path: Path) -> None:
    grey = tmp_path / "grey.pt"
    ok(seg_train(data, "-o", grey, *TINY, "--intensity", "standardize:0.1,0.2", "--steps", "1"))
    for seed, name in enumerate("bc"):
        put(
            tmp_path / "rgb" / "images" / f"{name}.png",
            np.random.default_rng(seed).integers(0, 255, (40, 40, 3), np.uint8),
        )
        put(tmp_path / "rgb" / "masks" / f"{name}.png", disc())
    told = child(grey, tmp_path / "rgb", tmp_path / "m.pt")
    assert "intensity: standardize (as in grey.pt, measured again for another number of channels)" in told
    assert "first layer: 1 → 3 channels, its weights are repeated" in told
    assert len(load(tmp_path / "m.pt").contract.input.intensity.mean) == 3
    assert "3 → 1 channel, its weights are summed" in child(tmp_path / "m.pt", data, tmp_path / "back.pt")


def test_a_child_takes_fewer_steps(parent: Path, data: Path, tmp_path: Path) -> None:
    words = ([], ["--from", str(grey_like(parent, tmp_path))])
    assert [planned(data, tmp_path / "m.pt", *more).settings.steps for more in words] == [3000, 1000]


def grey_like(parent: Path, folder: Path) -> Path:
    """A parent for `planned`, whose options are those of a network of width 2 and depth 4."""
    net, made = UNet(1, 2, 2), load(parent)
    made.network, made.state, made.contract = net.described, net.state_dict(), contract(method="fit")
    save(made, folder / "grey.pt")
    return folder / "grey.pt"


@pytest.mark.parametrize(
    "words",
    [["--width", "3"], ["--network", "attention"], ["--norm", "none"], ["--padding", "same"], ["--depth", "2"]],
    ids=" ".join,
)
def test_another_network_is_refused(parent: Path, data: Path, tmp_path: Path, words: list[str]) -> None:
    told = error_of(seg_train(data, "-o", tmp_path / "m.pt", "--from", parent, *words))
    assert f"{words[0]} is {words[1]}, but {parent} has" in told
    assert f"Leave out {words[0]}, since the weights fit one network only" in told


def test_a_frozen_encoder_does_not_move(parent: Path, data: Path, tmp_path: Path) -> None:
    words = (
        data,
        "-o",
        tmp_path / "m.pt",
        *REST,
        "--from",
        parent,
        "--freeze",
        "encoder",
        "--steps",
        "3",
        "--lr",
        "0.01",
    )
    ok(seg_train(*words))
    old = load(parent).state
    state = load(RunFiles(tmp_path / "m.pt").state).training
    now, mean = state["model"], load(tmp_path / "m.pt").state
    frozen = [name for name in old if name.startswith(("down", "bottom"))]
    assert any("running_mean" in name for name in frozen)
    assert [
        name for name in frozen if not torch.equal(now[name], old[name]) or not torch.equal(mean[name], old[name])
    ] == []
    assert not torch.equal(now["up.0.weight"], old["up.0.weight"])
    assert not torch.equal(now["merge.0.1.running_mean"], old["merge.0.1.running_mean"])
    ok(seg_train("-o", tmp_path / "m.pt", "--resume", "--freeze", "none", "--steps", "5"))
    thawed = load(RunFiles(tmp_path / "m.pt").state).training["model"]
    assert not torch.equal(thawed["bottom.0.weight"], old["bottom.0.weight"])


def test_a_run_goes_on_without_its_parent(parent: Path, data: Path, tmp_path: Path) -> None:
    copy, out = tmp_path / "copy.pt", tmp_path / "m.pt"
    copy.write_bytes(parent.read_bytes())
    child(copy, data, out)
    again = ("-o", out, "--resume", "--steps")
    ok(seg_train(*again, "2", "--from", copy))
    copy.unlink()
    ok(seg_train(*again, "3"))
    ok(seg_train(*again, "4"))  # the file of options still names it
    assert load(RunFiles(out).state).training["settings"]["parent"]["sha256"] == digest_of(parent)
    told = error_of(seg_train(*again, "5", "--from", RunFiles(out).model))
    assert "--from copy.pt → " in told


def test_inverted_images_are_recognised(data: Path, tmp_path: Path) -> None:
    """A trained network on the negative of its images: with the first layer inverted, it answers as before."""
    bright, dark, out = tmp_path / "bright.pt", tmp_path / "dark", tmp_path / "m.pt"
    sharp = (
        "--width",
        "8",
        "--depth",
        "1",
        "--input-size",
        "60",
        "--geometry",
        "fit",
        "--intensity",
        "zscore",
        "--dropout",
        "0",
    )
    ok(seg_train(data, "-o", bright, *REST, *sharp, "--augment", "none", "--steps", "40", "--lr", "0.003"))
    for place in range(4):
        mask = disc(radius=7.0 + place)
        put(dark / "images" / f"a{place}.png", (255 - (mask // 2 + 20)).astype(np.uint8))
        put(dark / "masks" / f"a{place}.png", mask)
    assert "first layer: inverted, since light and dark are exchanged" in child(bright, dark, out, "--augment", "none")
    before, after = (load(file).contract.provenance["validation"]["mean_dice"] for file in (bright, out))
    assert after == pytest.approx(before, abs=0.01)
    assert "first layer" not in child(bright, data, tmp_path / "same.pt", "--augment", "none")


def test_outputs_of_a_regression_are_kept_in_their_own_units() -> None:
    old = ValueSpec((OutputInfo("a", 10, 2), OutputInfo("b", 1, 4)))
    new = ValueSpec((OutputInfo("c"), OutputInfo("a", 6, 8)))
    assert OBJECTIVES.get("values").kept_maps(old, new) == [KeptMap(1, 0, 0.25, 0.5)]
    assert OBJECTIVES.get("labels").kept_maps(old, contract().answer) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["train", "evaluate", "export", "run", "self-test"])
def test_a_foreign_file_names_the_import(command: str, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "unet.pth"
    torch.save(torch.nn.Conv2d(1, 2, 3).state_dict(), file)
    words = {
        "train": [data, "--from", file, "-o", tmp_path / "m.pt"], "evaluate": [file, data], "export": [file, tmp_path / "m.onnx"],
        "run": ["--model", file, data / "images"], "self-test": ["--model", file],
    }[command]  # fmt: skip
    assert "seg-edge import" in error_of(seg_edge(command, *words))


def test_what_is_no_model_is_named(parent: Path, data: Path, tmp_path: Path) -> None:
    words = (data, "-o", tmp_path / "m.pt", "--from")
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07 a graph")
    for file, says in (
        (tmp_path / "m.onnx", "Use the checkpoint from which it was exported, model.pt"),
        (RunFiles(parent).state, "is the state of a training, not its best model. Use parent.pt in the same folder"),
        (tmp_path / "none.pt", "does not exist"),
        (tmp_path / "m.pt", "--from and -o are both"),
    ):
        assert says in error_of(seg_train(*words, file))
    assert f"seg-export {parent} {parent.with_suffix('.onnx')}" in error_of(seg_run("--model", parent, data / "images"))
    assert "--pretrained is now the option --from" in seg_train(*words[:-1], "--pretrained", parent).stderr
    assert "--freeze needs --from" in seg_train(*words[:-1], "--freeze", "encoder").stderr


def test_an_imported_model_can_be_a_parent(data: Path, tmp_path: Path) -> None:
    net = UNet(1, 2, 2, 1, padding="same", margin=0)
    torch.save(net.state_dict(), tmp_path / "state.pth")
    words = ("--padding", "same", "--margin", "0", "--input-size", "40", "--geometry", "fit", "--intensity", "scale")
    ok(seg_edge("import", tmp_path / "state.pth", data, "-o", tmp_path / "imported.pt", *words, "--device", "cpu"))
    child(tmp_path / "imported.pt", data, tmp_path / "m.pt")
    assert load(tmp_path / "m.pt").network["padding"] == "same"


def test_images_of_the_parent_stay_on_the_side_of_the_training(parent: Path, data: Path, tmp_path: Path) -> None:
    seen = load(parent).split
    assert seen.training
    for number in range(2):
        put(data / "images" / f"new{number}.png", disc(radius=3.0 + number) // 2)
        put(data / "masks" / f"new{number}.png", disc(radius=3.0 + number))
    told = child(parent, data, tmp_path / "m.pt")
    assert "of the parent's training stay on the side of the training" in told
    split = load(tmp_path / "m.pt").split
    assert not seen.seen & set(split.validation.values())
    listed = tmp_path / "list.txt"
    listed.write_text(next(name for name, digest in split.training.items() if digest in seen.seen))
    told = child(parent, data, tmp_path / "listed.pt", "--val-list", listed)
    assert "the parent was trained on 1 validation image, so the score is too good" in told


def test_a_child_knows_the_images_of_its_parent(parent: Path, tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path / "more" / "images" / f"{number}.png", disc(radius=3.0 + number) // 2)
        put(tmp_path / "more" / "masks" / f"{number}.png", disc(radius=3.0 + number))
    child(parent, tmp_path / "more", tmp_path / "m.pt")
    assert set(load(tmp_path / "m.pt").split.earlier) == load(parent).split.seen
