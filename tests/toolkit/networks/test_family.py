"""Networks by name: built from options and from what a checkpoint holds, and the options that each takes."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from seg_runtime.support import ModelError
from seg_toolkit.checkpoints import load
from seg_toolkit.networks import NETWORKS, Network, build
from seg_toolkit.networks.attention import AttentionUNet
from seg_toolkit.networks.multiscale import MultiScaleUNet
from seg_toolkit.networks.ternaus import TernausNet
from seg_toolkit.networks.unet import UNet
from seg_toolkit.options import TrainOptions

from tests.support.commands import ok, seg_train
from tests.support.folders import SMALL, write_pairs


@pytest.mark.parametrize("kind", NETWORKS.names())
def test_a_network_takes_the_options_that_it_names(kind: str) -> None:
    network = NETWORKS.get(kind)
    arguments = set(inspect.signature(network).parameters) - {"in_channels", "classes"}
    assert arguments == set(network.options)
    assert arguments <= {field.name for field in TrainOptions.options("network").values()}


@pytest.mark.parametrize(
    "network",
    [
        *(NETWORKS.get(kind)(in_channels=1, classes=3, width=2) for kind in NETWORKS.names()),
        UNet(1, 2, 1, 2, padding="same", norm="instance", margin=0), AttentionUNet(1, 2, 2, 2, 0.1, "same", "batch", 24),
        MultiScaleUNet(1, 2, 2, 2, 0.1, "same", "batch", 24), TernausNet(1, 2, 4, 0),
    ],
    ids=lambda network: str(network.described),
)  # fmt: skip
def test_a_network_is_rebuilt_from_its_description(network: Network) -> None:
    again = build(network.described)
    assert type(again) is type(network) is NETWORKS.get(str(network.described["kind"]))
    assert again.described == network.described
    again.load_state_dict(network.state_dict())


@pytest.mark.parametrize("arguments", [{"kind": "vnet"}, {"in_channels": 1, "classes": 2}])
def test_an_unknown_kind_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ModelError, match=r"'vnet'|None"):
        build(arguments)


def test_an_unknown_network_names_the_known_ones(tmp_path: Path) -> None:
    told = seg_train(write_pairs(tmp_path), "--network", "vnet", "-o", tmp_path / "m.pt")
    assert told.exit_code == 2
    assert "unknown network 'vnet'; expected unet, attention, multiscale, ternaus, unet3d" in told.stderr


@pytest.mark.parametrize(
    ("words", "ignored"),
    [
        (["--network", "ternaus", "--skip", "resize", "--margin", "0", "--input-size", "64"], ["--skip"]),
        (["--network", "attention", "--skip", "resize", "--norm", "batch"], ["--skip"]),
        (["--network", "unet", "--skip", "resize", "--norm", "batch"], []),
    ],
)
def test_options_that_the_network_does_not_take_get_a_note(
    tmp_path: Path, words: list[str], ignored: list[str]
) -> None:
    out = tmp_path / "m.pt"
    told = ok(seg_train(write_pairs(tmp_path / "data"), "-o", out, *SMALL, "--steps", "1", *words))
    notes = [line for line in told.stderr.splitlines() if line.endswith(" is ignored")]
    assert notes == [f"note: this network has no such option, so {option} is ignored" for option in ignored]
    assert load(out).network["kind"] == words[1]
