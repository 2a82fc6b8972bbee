from __future__ import annotations

import pytest
import torch
from seg_runtime.support import ModelError
from seg_toolkit.networks import KeptMap, Network, build, invert, transfer

KINDS = [
    {"kind": "unet", "width": 2, "depth": 1}, {"kind": "attention", "width": 2, "depth": 1}, {"kind": "multiscale", "width": 2, "depth": 2},
    {"kind": "ternaus", "width": 2, "margin": 0}, {"kind": "unet3d", "width": 2, "depth": 1},
]  # fmt: skip
SAME = (KeptMap(0, 0), KeptMap(1, 1))


def network(kind: dict[str, object], channels: int = 1, classes: int = 2, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    model = build({**kind, "in_channels": channels, "classes": classes}).double().eval()
    for bias in (p for name, p in model.named_parameters() if name.endswith("bias")):
        torch.nn.init.normal_(bias)
    return model


def images(model: Network, channels: int = 1) -> torch.Tensor:
    side = {"ternaus": 32, "multiscale": 44}.get(str(model.described["kind"]), 28)
    return torch.rand(1, channels, *(side,) * model.axes, dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind["kind"]))
def test_an_image_with_equal_channels_gives_the_same_result(kind: dict[str, object]) -> None:
    grey, colour, back = network(kind), network(kind, 3, seed=1), network(kind, seed=2)
    transfer(colour, grey.state_dict(), SAME)
    transfer(back, colour.state_dict(), SAME)
    x = images(grey)
    with torch.inference_mode():
        torch.testing.assert_close(colour(x.expand(-1, 3, *x.shape[2:])), grey(x))
        torch.testing.assert_close(back(x), grey(x))


def test_other_numbers_of_channels_share_the_sum() -> None:
    two, five = network(KINDS[0], 2), network(KINDS[0], 5, seed=1)
    transfer(five, two.state_dict(), SAME)
    wanted = two.down[0][0].weight.sum(dim=1) / 5  # type: ignore[index]
    for channel in range(5):
        torch.testing.assert_close(five.down[0][0].weight[:, channel], wanted)  # type: ignore[index]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind["kind"]))
def test_output_maps_move_to_their_new_places(kind: dict[str, object]) -> None:
    old, new = network(kind, classes=3), network(kind, classes=4, seed=1)
    fresh = new.state_dict()["head.weight"][1].clone()
    transfer(new, old.state_dict(), [KeptMap(0, 2), KeptMap(3, 0)])
    x = images(old)
    with torch.inference_mode():
        was, now = old(x), new(x)
    torch.testing.assert_close(now[:, 0], was[:, 2])
    torch.testing.assert_close(now[:, 3], was[:, 0])
    assert torch.equal(new.state_dict()["head.weight"][1], fresh)


def test_a_map_in_another_unit_is_converted() -> None:
    old, new = network(KINDS[0]), network(KINDS[0], seed=1)
    transfer(new, old.state_dict(), [KeptMap(0, 1, factor=2.0, shift=-3.0)])
    x = images(old)
    with torch.inference_mode():
        torch.testing.assert_close(new(x)[:, 0], 2 * old(x)[:, 1] - 3)


@pytest.mark.parametrize("kind", KINDS[:2], ids=lambda kind: str(kind["kind"]))
def test_an_inverted_network_takes_inverted_images(kind: dict[str, object]) -> None:
    plain, around_zero, within_one = (network(kind) for _ in range(3))
    invert(around_zero, within_one=False)
    invert(within_one, within_one=True)
    x = images(plain)
    with torch.inference_mode():
        torch.testing.assert_close(around_zero(-x), plain(x))
        torch.testing.assert_close(within_one(1 - x), plain(x))


def test_another_network_is_refused() -> None:
    with pytest.raises(ModelError, match=r"weights of down\.0\.0\.weight do not fit the network unet"):
        transfer(network(KINDS[0]), network({**KINDS[0], "width": 4}).state_dict(), SAME)
