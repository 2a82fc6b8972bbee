"""The attention U-Net: gates by hand, sizes, tiles, and the pictures of what it looks at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from seg_toolkit.checkpoints import load
from seg_toolkit.evaluation.attention import attention_maps
from seg_toolkit.evaluation.heatmap import RAMP, heat_map
from seg_toolkit.networks.attention import AttentionUNet
from seg_toolkit.networks.unet import UNet
from seg_toolkit.training.objectives.labels import LabelObjective
from torch import Tensor
from torch.nn import functional as F

from tests.support.commands import ok, seg_edge, seg_train
from tests.support.contracts import contract_of
from tests.support.folders import SMALL, write_pairs
from tests.support.tiles import CROPS, EXACT, seam, stitched


def test_parameter_count() -> None:
    with torch.device("meta"):
        plain, gated = (sum(p.numel() for p in kind(3, 2).parameters()) for kind in (UNet, AttentionUNet))
    gates = sum(4 * x * (x // 2) + 2 * x * (x // 2) + x // 2 + x // 2 + 1 for x in (64, 128, 256, 512))
    assert gated - plain == gates == 1_045_444


def by_hand(weights: dict[str, Tensor], x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The network written out from its weights alone; its logits, and alpha of each gate on the grid of its skip."""

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), stride)

    def double(x: Tensor, name: str) -> Tensor:
        return conv(conv(x, f"{name}.0").relu(), f"{name}.2").relu()

    carried, maps = [], []
    for level in range(4):
        carried.append(double(x, f"down.{level}"))
        x = F.max_pool2d(carried[-1], 2)
    x = double(x, "bottom")
    for level, cut in enumerate(CROPS):
        skip = carried.pop()[..., cut:-cut, cut:-cut]
        inner = (conv(skip, f"gates.{level}.skip", 2) + conv(x, f"gates.{level}.gating")).relu()
        alpha = 1 / (1 + torch.exp(-conv(inner, f"gates.{level}.psi")))
        maps.append(alpha.repeat_interleave(2, -2).repeat_interleave(2, -1))
        x = F.conv_transpose2d(x, weights[f"up.{level}.weight"], weights[f"up.{level}.bias"], stride=2)
        x = double(torch.cat([x, skip * maps[-1]], 1), f"merge.{level}")
    return conv(x, "head"), maps


def test_forward_equals_the_network_written_by_hand() -> None:
    torch.manual_seed(1)
    network = AttentionUNet(2, 3, width=2).double().eval()
    x = torch.randn(1, 2, 204, 204, dtype=torch.float64)
    logits, maps = by_hand(dict(network.state_dict()), x)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), logits, rtol=1e-10, atol=1e-10)
        shown = network.attention(x)
    assert shown.shape == (1, 4, 20, 20)
    for number, (alpha, pace) in enumerate(zip(maps, (8, 4, 2, 1), strict=True)):
        wide = alpha.repeat_interleave(pace, -2).repeat_interleave(pace, -1)
        ring = (wide.shape[-1] - 20) // 2
        torch.testing.assert_close(shown[:, number], wide[:, 0, ring:-ring, ring:-ring])


def test_a_closed_gate_lets_nothing_through() -> None:
    torch.manual_seed(0)
    network = AttentionUNet(1, 2, 2, 2).eval()
    x = torch.rand(1, 1, 60, 60)
    with torch.no_grad():
        before = network(x)
        for gate in network.gates:
            gate.psi.bias.fill_(-1e9)
        for merge, width in zip(network.merge, (4, 2), strict=True):
            merge[0].weight[:, :width] = 0  # the upsampled map; what is left is the skip
        shut = network(x)
    assert not torch.equal(before, shut)
    assert float(shut.std(dim=(2, 3)).max()) == 0  # the same everywhere: the image is not seen


@pytest.mark.parametrize(
    ("arguments", "side", "whole"), [({"depth": 2}, 60, 148), ({"depth": 2, "padding": "same"}, 64, 144)]
)
def test_tiles_meet_exactly(arguments: dict[str, object], side: int, whole: int) -> None:
    torch.manual_seed(0)
    assert seam(AttentionUNet(2, 3, 2, **arguments), side, whole, (53, 90)) < EXACT  # type: ignore[arg-type]


def test_a_step_that_is_no_multiple_of_the_stride_shows_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = AttentionUNet(2, 3, 2)
    assert seam(network, 204, 252, (33, 60)) < EXACT
    monkeypatch.setattr(AttentionUNet, "stride", 1)  # windows of 20 px then step by 20, not by 16
    assert seam(network, 204, 252, (33, 60)) > 1000 * EXACT


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_maps_of_a_whole_image_do_not_depend_on_the_window(padding: str) -> None:
    torch.manual_seed(0)
    network = AttentionUNet(1, 2, 4, 2, padding=padding).eval()
    image = np.random.default_rng(0).random((53, 90, 1), np.float32)
    sides = (60, 148) if padding == "valid" else (64, 144)
    few, one = (
        attention_maps(network, image, contract_of(network, side, pixels="float"), torch.device("cpu"))
        for side in sides
    )
    assert few.shape == (2, 53, 90)
    assert 0 < few.min() < few.max() < 1
    np.testing.assert_allclose(few, one, atol=1e-5)
    assert stitched(network.double(), sides[0], image).shape == (2, 53, 90)


def test_heat_map_by_hand() -> None:
    picture = np.full((2, 2, 3), 100, np.uint8)
    sheet = np.asarray(heat_map(picture, np.array([[0.25, 0.75], [0.75, 0.25]], np.float32), "gate"))
    dark, bright = (np.rint(0.4 * 100 + 0.6 * RAMP[end]) for end in (0, -1))
    assert np.array_equal(sheet[75:300:150, 75:300:150], np.array([[dark, bright], [bright, dark]]))


def test_pictures_of_an_evaluation(tmp_path: Path) -> None:
    data, out, folder = write_pairs(tmp_path / "data"), tmp_path / "m.pt", tmp_path / "new" / "maps"
    words = [data, "--width", "2", "--depth", "2", "--steps", "2", "--workers", "0", "--input-size", "60", "-o", out]
    ok(seg_train(*words, "--network", "attention"))
    assert load(out).network["kind"] == "attention"
    told = ok(seg_edge("evaluate", out, data, "--include-training", "--attention", folder))
    assert "wrote 6 heat maps" in told.stderr
    assert sorted(p.name for p in folder.iterdir()) == [f"a{i}_gate{n}.png" for i in range(3) for n in (1, 2)]
    with Image.open(folder / "a0_gate1.png") as picture:
        assert picture.size == (320, 340)  # 40 px, seven times as large, and the bar
    ok(seg_train(*words, "--overwrite"))
    told = seg_edge("evaluate", out, data, "--attention", tmp_path / "none")
    assert told.exit_code == 1
    assert "the network unet has no attention gates" in told.stderr


def test_a_network_without_gates_is_refused_before_an_image_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    ok(seg_train(data, "-o", out, *SMALL, "--steps", "1"))
    monkeypatch.setattr(LabelObjective, "score", lambda *args, **more: pytest.fail("an image was scored"))
    told = seg_edge("evaluate", out, data, "--attention", tmp_path / "none")
    assert told.exit_code == 1
    assert "the network unet has no attention gates" in told.stderr
