"""TernausNet: VGG11's own layers, its weights, what it sees, and tiles."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from seg_runtime.support.errors import ModelError, SegError
from seg_toolkit.checkpoints import digest_of, load
from seg_toolkit.networks import build
from seg_toolkit.networks.ternaus import REACH_PX, TernausNet
from torch import Tensor
from torch.nn import functional as F

from tests.support.commands import ok, seg_train
from tests.support.folders import write_pairs
from tests.support.tiles import EXACT, seam, sees

# torchvision's vgg11: place in `features`, channels, maps
VGG11 = [(0, 3, 64), (3, 64, 128), (6, 128, 256), (8, 256, 256), (11, 256, 512), (13, 512, 512), (16, 512, 512), (18, 512, 512)]  # fmt: skip
DECODER = [("bottom", 512, 512, 256), ("up.0", 768, 512, 256), ("up.1", 768, 512, 128), ("up.2", 384, 256, 64), ("up.3", 192, 128, 32)]  # fmt: skip


def vgg11(seed: int = 0) -> dict[str, Tensor]:
    """A state dict as torchvision's, with a classifier as small as may be."""
    torch.manual_seed(seed)
    state = {}
    for place, channels, maps in VGG11:
        state[f"features.{place}.weight"] = torch.randn(maps, channels, 3, 3) * (2 / (9 * channels)) ** 0.5
        state[f"features.{place}.bias"] = torch.randn(maps) * 0.1
    return {**state, "classifier.0.weight": torch.zeros(4, 4), "classifier.0.bias": torch.zeros(4)}


def test_parameter_count() -> None:
    features = sum(9 * c * m + m for _, c, m in VGG11)
    assert features == 132_863_336 - 123_642_856  # torchvision's vgg11 without its classifier
    decoder = sum(9 * c * m + m + 9 * m * w + w for _, c, m, w in DECODER)
    top = 9 * 96 * 32 + 32 + 32 * 1 + 1
    with torch.device("meta"):
        assert sum(p.numel() for p in TernausNet(3, 1).parameters()) == features + decoder + top == 22_927_393


def test_layers_have_torchvisions_names_and_shapes() -> None:
    with torch.device("meta"):
        ours = {n: tuple(v.shape) for n, v in TernausNet().state_dict().items() if n.startswith("features.")}
    assert ours == {n: tuple(v.shape) for n, v in vgg11().items() if n.startswith("features.")}


def by_hand(weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """The network written out from its weights alone."""

    def conv(x: Tensor, name: str) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1).relu()

    def widen(x: Tensor, name: str) -> Tensor:
        x = conv(x, f"{name}.0")
        wide = torch.zeros(*x.shape[:2], 2 * x.shape[2] + 2, 2 * x.shape[3] + 2, dtype=x.dtype)
        wide[..., 1:-1:2, 1:-1:2] = x  # a pixel, then a zero; a zero around
        kernel = weights[f"{name}.2.weight"].transpose(0, 1).flip(-2, -1)
        return F.conv2d(wide, kernel, weights[f"{name}.2.bias"]).relu()

    carried = []
    for level in ((0,), (3,), (6, 8), (11, 13), (16, 18)):
        for place in level:
            x = conv(x, f"features.{place}")
        carried.append(x)
        x = torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)
    x = widen(x, "bottom")
    for level in range(4):
        x = widen(torch.cat([x, carried.pop()], 1), f"up.{level}")
    x = conv(torch.cat([x, carried.pop()], 1), "top.0")
    return F.conv2d(x, weights["head.weight"], weights["head.bias"])


def test_forward_equals_the_network_written_by_hand() -> None:
    torch.manual_seed(1)
    network = TernausNet(2, 3, width=4, margin=0).double().eval()
    x = torch.randn(1, 2, 64, 96, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), by_hand(dict(network.state_dict()), x), rtol=1e-10, atol=1e-10)


def test_default_window_and_sizes() -> None:
    with torch.device("meta"):
        network = TernausNet()
    assert (network.margin_px, network.stride, network.default_input) == (160, 32, (640, 640))
    assert network.output_shape((640, 640)) == (320, 320)
    with pytest.raises(SegError, match="Use 544 or 576"):
        network.output_shape((572, 572))


def test_it_sees_so_far_and_no_further() -> None:
    network = TernausNet(1, 2, 2)
    assert any(sees(network, 352, REACH_PX))
    assert sees(network, 352, REACH_PX + 1) == (False, False)


def test_tiles_meet_exactly() -> None:
    torch.manual_seed(0)
    assert seam(TernausNet(2, 3, 2), 352, 416, (40, 90)) < EXACT


def test_a_smaller_margin_shows_seams() -> None:
    torch.manual_seed(0)
    network = TernausNet(2, 3, 2, margin=128)
    assert seam(network, 288, 352, (40, 90)) > 1000 * EXACT
    with pytest.raises(SegError, match="margin is 128 with geometry tile; expected 160 or more"):
        network.check_tiling()
    TernausNet(2, 3, 2).check_tiling()


def test_pretrained_weights_are_taken() -> None:
    state = vgg11()
    network = TernausNet()
    network.begin_from(state)
    for place, _, _ in VGG11:
        for part in ("weight", "bias"):
            assert torch.equal(network.features[place].get_parameter(part), state[f"features.{place}.{part}"])


def test_a_grey_image_is_answered_as_the_same_grey_given_thrice() -> None:
    state = vgg11()
    torch.manual_seed(0)
    grey, colour = TernausNet(1, 2, margin=0).double().eval(), TernausNet(3, 2, margin=0).double().eval()
    grey.begin_from(state)
    colour.begin_from(state)
    x = torch.rand(1, 1, 32, 32, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(grey.features(x), colour.features(x.tile(1, 3, 1, 1)), rtol=1e-6, atol=1e-6)


def test_weights_that_do_not_fit_are_refused_by_name() -> None:
    state = vgg11()
    with pytest.raises(ModelError, match=r"layer features\.0\.weight has shape") as caught:
        TernausNet(3, 2, width=32).begin_from(state)
    assert "(32, 3, 3, 3)" in str(caught.value)
    with pytest.raises(SegError, match="a vgg11 do not fit 4 channels; expected 1 or 3"):
        TernausNet(4, 2).begin_from(state)
    del state["features.13.weight"]
    with pytest.raises(ModelError, match=r"lack features.13.weight"):
        TernausNet().begin_from(state)
    with pytest.raises(SegError, match="the network unet cannot start from the weights of another program"):
        build({"kind": "unet", "in_channels": 1, "classes": 2, "width": 1}).begin_from(state)


@pytest.mark.parametrize("arguments", [{"width": 3}, {"width": 0}, {"classes": 0}, {"margin": 16}, {"in_channels": 0}])
def test_wrong_arguments(arguments: dict[str, int]) -> None:
    [(name, value)] = arguments.items()
    with pytest.raises(SegError, match=rf"{name}(\W+| is ){value}"):
        TernausNet(**arguments)


def test_its_margin_is_as_far_as_it_sees_unless_told_otherwise() -> None:
    assert TernausNet(1, 2, 4).described["margin"] == 160


def test_seg_train_begins_with_them(tmp_path: Path) -> None:
    data, out, file = write_pairs(tmp_path / "data"), tmp_path / "m.pt", tmp_path / "vgg11.pth"
    state = vgg11()
    torch.save(state, file)
    words = [
        data, "--network", "ternaus", "--geometry", "fit", "--margin", "0", "--input-size", "32", "--batch-size", "1",
    ]  # fmt: skip
    rest = ["--steps", "1", "--lr", "1e-9", "--workers", "0", "--overwrite", "-o", out, "--from", file]
    ok(seg_train(*words, *rest))
    kept = load(out)
    assert kept.contract.provenance["parent"]["sha256"] == digest_of(file)
    wanted = state["features.0.weight"].sum(1, keepdim=True)  # the images are grey
    torch.testing.assert_close(kept.state["features.0.weight"], wanted, rtol=0, atol=1e-6)
    torch.testing.assert_close(kept.state["features.18.weight"], state["features.18.weight"], rtol=0, atol=1e-6)
