"""Padded and normalised U-Nets: sizes, tiles without seams, and what cannot be tiled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from seg_runtime.support.errors import SegError
from seg_toolkit.checkpoints import load
from seg_toolkit.networks.layers import reach_px
from seg_toolkit.networks.unet import UNet
from torch import nn
from torch.nn import functional as F

from tests.support.commands import ok, seg_train
from tests.support.folders import SMALL, write_pairs
from tests.support.tiles import EXACT, seam, sees


@pytest.mark.parametrize(
    ("depth", "reach", "margin"), [(1, 8, 8), (2, 22, 24), (3, 46, 48), (4, 94, 96), (5, 190, 192)]
)
def test_the_margin_is_the_smallest_multiple_of_the_stride_that_covers_what_is_seen(
    depth: int, reach: int, margin: int
) -> None:
    assert reach_px((2,) * (depth + 1), (2,) * depth) == reach
    assert UNet(1, 2, 1, depth, padding="same").margin_px == margin


@pytest.mark.parametrize(("depth", "reach", "side"), [(1, 8, 28), (2, 22, 72), (4, 94, 256)])
@pytest.mark.parametrize("skip", ["crop", "resize"])
def test_it_sees_so_far_and_no_further(depth: int, reach: int, side: int, skip: str) -> None:
    margin = (side - 8) // 2 >> depth << depth  # wide enough to look beyond
    network = UNet(1, 2, 1, depth, skip, padding="same", margin=margin)
    assert sees(network, side, reach) == (True, True)
    assert sees(network, side, reach + 1) == (False, False)


def test_default_window_and_sizes() -> None:
    with torch.device("meta"):
        padded, whole = UNet(padding="same"), UNet(padding="same", margin=0)
    assert (padded.default_input, padded.output_shape((576, 576))) == ((576, 576), (384, 384))
    assert (whole.default_input, whole.output_shape((384, 384))) == ((384, 384), (384, 384))
    assert [n for n in range(300) if padded.output_side(n)] == list(range(208, 300, 16))
    with pytest.raises(SegError, match="Use 560 or 576"):
        padded.output_shape((572, 572))


def test_input_is_output_without_margin() -> None:
    network = UNet(1, 3, 1, padding="same", margin=0).eval()
    assert network(torch.zeros(1, 1, 48, 32)).shape == (1, 3, 48, 32)


@pytest.mark.parametrize(
    ("arguments", "side", "whole"),
    [
        ({"depth": 2, "padding": "same"}, 64, 144),
        ({"depth": 2, "padding": "same", "norm": "batch"}, 64, 144),
        ({"depth": 2, "padding": "same", "skip": "resize"}, 64, 144),
        ({"depth": 2, "norm": "batch"}, 60, 148),
        ({"depth": 4, "padding": "same"}, 224, 288),
    ],
)
def test_tiles_meet_exactly(arguments: dict[str, object], side: int, whole: int) -> None:
    torch.manual_seed(0)
    network = UNet(2, 3, 2, **arguments)  # type: ignore[arg-type]
    network(torch.rand(2, 2, side, side))  # norms have seen something
    assert seam(network, side, whole, (53, 90)) < EXACT


@pytest.mark.parametrize(("depth", "margin", "side", "whole"), [(2, 20, 56, 136), (4, 80, 192, 256)])
def test_a_smaller_margin_shows_seams(depth: int, margin: int, side: int, whole: int) -> None:
    torch.manual_seed(0)
    network = UNet(2, 3, 2, depth, padding="same", margin=margin)
    assert seam(network, side, whole, (53, 90)) > 1000 * EXACT
    with pytest.raises(
        SegError, match=rf"margin is {margin} with geometry tile; expected {margin + (1 << depth)} or more"
    ):
        network.check_tiling()


def test_instance_norm_shows_seams() -> None:
    torch.manual_seed(0)
    network = UNet(2, 3, 2, 2, padding="same", norm="instance")
    assert seam(network, 64, 144, (53, 90)) > 1000 * EXACT
    with pytest.raises(SegError, match="norm instance depends on the window"):
        network.check_tiling()


def test_norms_by_hand() -> None:
    """Depth 1, the first convolution and its norm written out."""
    torch.manual_seed(0)
    x = torch.rand(1, 1, 12, 12, dtype=torch.float64)
    for norm in ("batch", "instance"):
        network = UNet(1, 2, 3, 1, norm=norm).double().eval()
        convolution, normed = network.down[0][0], network.down[0][1]
        with torch.no_grad():
            for value in normed.parameters():
                value.uniform_(0.5, 2)
            for value in normed.buffers():
                value.copy_(value + 1)
        maps = F.conv2d(x, convolution.weight, convolution.bias)
        mean, variance = maps.mean((2, 3), keepdim=True), maps.var((2, 3), keepdim=True, unbiased=False)
        if norm == "batch":
            mean, variance = torch.ones(1, 3, 1, 1), torch.full((1, 3, 1, 1), 2.0)  # 0 and 1, and 1 more
        wanted = (maps - mean) / torch.sqrt(variance + 1e-5) * normed.weight[:, None, None] + normed.bias[:, None, None]
        torch.testing.assert_close(normed(convolution(x)), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_every_3x3_convolution_has_a_norm(norm: str) -> None:
    network = UNet(1, 2, 1, 3, norm=norm)
    norms = [m for m in network.modules() if isinstance(m, (nn.BatchNorm2d, nn.InstanceNorm2d))]
    assert len(norms) == 2 * (3 + 1 + 3)
    with torch.device("meta"):
        plain, normed = (sum(p.numel() for p in UNet(norm=n).parameters()) for n in ("none", norm))
    maps = 2 * (64 + 128 + 256 + 512) * 2 + 2 * 1024  # maps that are normalised, each with a factor and a shift
    assert normed - plain == 2 * maps


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"padding": "reflect"}, "valid or same"),
        ({"norm": "group"}, "none or batch or instance"),
        ({"margin": 96}, "margin is 96 with padding valid"),
        ({"padding": "same", "margin": 90}, "a multiple of 16"),
        ({"padding": "same", "margin": -16}, "a multiple of 16"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(SegError, match=says):
        UNet(1, 2, 1, **arguments)  # type: ignore[arg-type]


def test_seg_train_takes_the_options(tmp_path: Path) -> None:
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    words = [data, "--width", "2", "--depth", "2", "--steps", "2", "--workers", "0", "--overwrite", "-o", out]
    padded = [*words, "--padding", "same"]
    ok(seg_train(*padded, "--norm", "batch", "--input-size", "64", "--geometry", "tile"))
    kept = load(out)
    assert kept.contract.geometry.margin == (24, 24)
    assert kept.build().arguments["norm"] == "batch"
    told = seg_train(*padded, "--norm", "instance", "--input-size", "64", "--geometry", "tile")
    assert "norm instance depends on the window" in told.stderr
    told = seg_train(*padded, "--margin", "0", "--input-size", "64", "--geometry", "tile")
    assert "margin is 0 with geometry tile; expected 24 or more" in told.stderr
    ok(seg_train(*padded, "--margin", "0", "--norm", "instance", "--input-size", "40", "--geometry", "fit"))
    assert load(out).contract.geometry.output_shape == load(out).contract.geometry.input_shape == (40, 40)
    assert "--margin" in seg_train(*words, "--margin", "24").stderr


def test_a_run_goes_on_with_the_same_network_only(tmp_path: Path) -> None:
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    words = [data, *SMALL, "--steps", "2", "-o", out]
    ok(seg_train(*words))
    ok(seg_train(*words, "--resume"))
    again = seg_train(*words, "--resume", "--norm", "batch")
    assert "--norm none → batch" in again.stderr
