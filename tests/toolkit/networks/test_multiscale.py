"""The multi-scale U-Net: the image at every scale, heads at every scale, and how training weighs them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from seg_toolkit.checkpoints import load
from seg_toolkit.networks.multiscale import MultiScaleUNet
from seg_toolkit.networks.unet import UNet
from seg_toolkit.training import RunFiles
from seg_toolkit.training.losses import deeply_supervised
from torch import Tensor
from torch.nn import functional as F

from tests.support.commands import ok, seg_train
from tests.support.folders import write_pairs
from tests.support.tiles import CROPS, EXACT, seam


@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 4)])
def test_parameter_count(channels: int, classes: int) -> None:
    with torch.device("meta"):
        plain, ours = (sum(p.numel() for p in kind(channels, classes).parameters()) for kind in (UNet, MultiScaleUNet))
    again = sum(9 * channels * maps for maps in (128, 256, 512, 1024))
    heads = sum(classes * (maps + 1) for maps in (128, 256, 512))
    assert ours - plain == again + heads


def by_hand(weights: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """Logits of every level at its own size, the finest first, written out from the weights alone."""

    def double(x: Tensor, name: str) -> Tensor:
        x = F.conv2d(x, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"]).relu()
        return F.conv2d(x, weights[f"{name}.2.weight"], weights[f"{name}.2.bias"]).relu()

    def corners(x: Tensor) -> Tensor:
        return torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)])

    carried, image = [], x
    for level in range(4):
        carried.append(double(x, f"down.{level}"))
        image = corners(image[..., 2:-2, 2:-2]).mean(0)
        x = torch.cat([corners(carried[-1]).amax(0), image], 1)
    x = double(x, "bottom")
    found = []
    for level, cut in enumerate(CROPS):
        x = F.conv_transpose2d(x, weights[f"up.{level}.weight"], weights[f"up.{level}.bias"], stride=2)
        x = double(torch.cat([x, carried.pop()[..., cut:-cut, cut:-cut]], 1), f"merge.{level}")
        head = "head" if level == 3 else f"helpers.{level}"
        found.insert(0, F.conv2d(x, weights[f"{head}.weight"], weights[f"{head}.bias"]))
    return found


def test_forward_and_helpers_equal_the_network_written_by_hand() -> None:
    torch.manual_seed(1)
    network = MultiScaleUNet(2, 3, width=2).double().eval()
    x = torch.randn(1, 2, 204, 204, dtype=torch.float64)
    wanted = by_hand(dict(network.state_dict()), x)
    assert [w.shape[-1] for w in wanted] == [20, 12, 8, 6]
    with torch.inference_mode():
        torch.testing.assert_close(network(x), wanted[0], rtol=1e-10, atol=1e-10)
        answers = network.supervised(x)
    assert [a.shape for a in answers] == [(1, 3, 20, 20)] * 4
    for pace, (answer, own) in zip((1, 2, 4, 8), zip(answers, wanted, strict=True), strict=True):
        wide = own.repeat_interleave(pace, -2).repeat_interleave(pace, -1)
        ring = (wide.shape[-1] - 20) // 2
        torch.testing.assert_close(answer, wide[..., ring : ring + 20, ring : ring + 20], rtol=1e-10, atol=1e-10)


def test_the_pooled_image_lies_on_the_pixels_of_the_maps() -> None:
    """A network whose maps are the image itself meets the same image at every level."""
    network = MultiScaleUNet(1, 2, 1, 3)
    seen: list[Tensor] = []
    with torch.no_grad():
        for level in network.down:
            for convolution in (level[0], level[2]):
                convolution.weight.zero_()
                convolution.weight[0, 0, 1, 1] = 1
            level.register_forward_hook(lambda module, given, out: seen.append(given[0]))
        slope = torch.arange(100.0).tile(100, 1)[None, None]
        network.contracting(slope)
    for pace, given in zip((2, 4), seen[1:], strict=True):
        steps = given[:, 0] - given[:, -1]  # the largest of so many px, and their mean
        assert float(steps.max()) == float(steps.min()) == (pace - 1) / 2


@pytest.mark.parametrize(
    ("arguments", "side", "whole"), [({"depth": 2}, 60, 148), ({"depth": 2, "padding": "same"}, 64, 144)]
)
def test_tiles_meet_exactly(arguments: dict[str, object], side: int, whole: int) -> None:
    torch.manual_seed(0)
    assert seam(MultiScaleUNet(2, 3, 2, **arguments), side, whole, (53, 90)) < EXACT  # type: ignore[arg-type]


def test_a_smaller_margin_shows_seams() -> None:
    torch.manual_seed(0)
    assert seam(MultiScaleUNet(2, 3, 2, 2, padding="same", margin=20), 56, 136, (53, 90)) > 1000 * EXACT


def test_losses_weigh_half_of_the_level_before() -> None:
    losses = [torch.tensor(value, requires_grad=True) for value in (7.0, 3.0, 1.0)]
    mean = deeply_supervised(losses)
    assert mean.item() == pytest.approx((7 + 3 / 2 + 1 / 4) / 1.75)
    mean.backward()  # type: ignore[no-untyped-call]
    assert [loss.grad.item() for loss in losses if loss.grad is not None] == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert deeply_supervised(losses[:1]).item() == 7


def test_training_teaches_the_helpers_too(tmp_path: Path) -> None:
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    words = [data, "--network", "multiscale", "--width", "2", "--depth", "2", "--workers", "0", "--overwrite"]
    states = []
    for steps in ("1", "3"):
        ok(seg_train(*words, "--steps", steps, "--input-size", "60", "-o", out))
        states.append(load(RunFiles(out).state).training["model"])
    assert load(out).network["kind"] == "multiscale"
    for name in ("helpers.0.weight", "head.weight", "down.1.0.weight"):
        assert not torch.equal(states[0][name], states[1][name])
