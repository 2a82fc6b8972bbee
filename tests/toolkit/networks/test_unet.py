from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from seg_runtime.support.errors import SegError
from seg_toolkit.networks.layers import output_size
from seg_toolkit.networks.unet import UNet
from torch import Tensor
from torch.nn import functional as F

from tests.support.tiles import CROPS

FACTS = [(3, 2, 31_031_810), (1, 1, 31_030_593), (1, 2, 31_030_658), (3, 1, 31_031_745)]


def narrow() -> UNet:
    return UNet(1, 2, width=1)


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("skip", ["crop", "resize"])
@pytest.mark.parametrize(("channels", "classes", "count"), FACTS)
def test_parameter_count(channels: int, classes: int, count: int, skip: str) -> None:
    with torch.device("meta"):
        assert parameters(UNet(channels, classes, skip=skip)) == count


def test_defaults_are_the_papers_network() -> None:
    with torch.device("meta"):
        model = UNet()
    assert (model.arguments["in_channels"], model.arguments["classes"]) == (3, 2)
    assert (model.arguments["width"], model.arguments["depth"], model.arguments["skip"]) == (64, 4, "crop")


@pytest.mark.parametrize("skip", ["crop", "resize"])
def test_572_gives_388(skip: str) -> None:
    with torch.inference_mode():
        assert UNet(1, 2, width=1, skip=skip).eval()(torch.zeros(1, 1, 572, 572)).shape == (1, 2, 388, 388)


@pytest.mark.parametrize("skip", ["crop", "resize"])
def test_188_gives_4(skip: str) -> None:
    assert UNet(3, 5, width=1, skip=skip).eval()(torch.zeros(2, 3, 188, 188)).shape == (2, 5, 4, 4)


@pytest.mark.parametrize(("size", "out"), [(572, 388), (188, 4), (204, 20), (1596, 1412)])
def test_output_size(size: int, out: int) -> None:
    assert output_size(size) == out == narrow().output_shape((size, size))[0]


@pytest.mark.parametrize("size", [570, 571, 573, 172, 187, 0, -4])
def test_no_output_size(size: int) -> None:
    assert output_size(size) is None


def test_valid_sizes_are_16k_plus_60_from_188_on() -> None:
    assert [n for n in range(700) if output_size(n)] == [16 * k + 60 for k in range(8, 40)]


@pytest.mark.parametrize(("size", "near"), [(570, ("556", "572")), (580, ("572", "588")), (100, ("188",))])
def test_refused_size_names_the_nearest_valid_ones(size: int, near: tuple[str, ...]) -> None:
    with pytest.raises(SegError, match=f"input size {size}") as caught:
        narrow().output_shape((size, size))
    assert all(n in str(caught.value) for n in near)


@pytest.mark.parametrize(
    "arguments", [{"skip": "add"}, {"classes": 0}, {"width": 0}, {"in_channels": 0}, {"dropout": 1.0}, {"depth": 0}]
)
def test_impossible_arguments_are_refused(arguments: dict[str, object]) -> None:
    [(name, value)] = arguments.items()
    with pytest.raises(SegError, match=rf"{name}(\W+| is '){value}"):
        UNet(**arguments)  # type: ignore[arg-type]


def by_hand(weights: dict[str, Tensor], x: Tensor, skip: str) -> Tensor:
    """The network written out from its weights alone."""

    def double(x: Tensor, name: str) -> Tensor:
        x = F.relu(F.conv2d(x, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"]))
        return F.relu(F.conv2d(x, weights[f"{name}.2.weight"], weights[f"{name}.2.bias"]))

    carried = []
    for level in range(4):
        x = double(x, f"down.{level}")
        pooled = torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]).amax(0)
        carried.append(x if skip == "crop" else pooled)
        x = pooled
    x = double(x, "bottom")
    for level, cut in enumerate(CROPS):
        x = F.conv_transpose2d(x, weights[f"up.{level}.weight"], weights[f"up.{level}.bias"], stride=2)
        side = carried.pop()
        if skip == "crop":
            side = side[..., cut:-cut, cut:-cut]
        else:
            rows = half_pixel_bilinear(side.shape[-1], x.shape[-1])
            side = rows @ side @ rows.T
        x = double(torch.cat([x, side], 1), f"merge.{level}")
    return F.conv2d(x, weights["head.weight"], weights["head.bias"])


def half_pixel_bilinear(size: int, length: int) -> Tensor:
    """`(length, size)`: each row holds the one or two weights of a resized pixel."""
    matrix = np.zeros((length, size))
    for i in range(length):
        at = min(max((i + 0.5) * size / length - 0.5, 0), size - 1)
        low = math.floor(at)
        matrix[i, low] += 1 - (at - low)
        matrix[i, min(low + 1, size - 1)] += at - low
    return torch.from_numpy(matrix)


@pytest.mark.parametrize("skip", ["crop", "resize"])
def test_forward_equals_the_network_written_by_hand(skip: str) -> None:
    torch.manual_seed(1)
    model = UNet(2, 3, width=2, skip=skip).double().eval()
    x = torch.randn(1, 2, 204, 204, dtype=torch.float64)
    expected = by_hand(dict(model.state_dict()), x, skip)
    with torch.inference_mode():
        torch.testing.assert_close(model(x), expected, rtol=1e-10, atol=1e-10)


def test_crop_is_equivariant_to_shifts_of_its_stride() -> None:
    model = UNet(1, 2, width=2).double().eval()
    x = torch.randn(1, 1, 220, 220, dtype=torch.float64)
    with torch.inference_mode():
        whole, part = model(x), model(x[..., 16:, 16:])
    assert (whole[..., 16:, 16:] - part).abs().max() < 1e-12


@pytest.mark.parametrize(
    ("name", "inputs"), [("bottom.2", 256 * 9), ("merge.0.0", 256 * 9), ("up.0", 256), ("down.3.2", 128 * 9)]
)
def test_weights_are_he_normal(name: str, inputs: int) -> None:
    torch.manual_seed(0)
    layer = UNet(1, 2, width=16).get_submodule(name)
    weight, bias = (p.detach() for p in layer.parameters())
    assert float(weight.std()) == pytest.approx(math.sqrt(2 / inputs), rel=0.02)
    assert abs(float(weight.mean())) < 0.02 * float(weight.std())
    assert not bias.any()


def test_dropout_sits_at_the_end_of_the_contracting_path() -> None:
    model = UNet(1, 2, width=1, dropout=0.5)
    seen: list[tuple[int, ...]] = []
    model.dropout.register_forward_hook(lambda module, given, out: seen.append(tuple(out.shape)))
    model(torch.zeros(1, 1, 572, 572))
    assert seen == [(1, 16, 28, 28)]


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    model, x = UNet(1, 2, width=4, dropout=0.5), torch.randn(1, 1, 188, 188)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))
