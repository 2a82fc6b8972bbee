from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from seg_export.network import to_onnx
from seg_runtime.answers import answer_of
from seg_runtime.model.answer import ClassInfo
from seg_runtime.pipeline import Grid, segment
from seg_runtime.support.errors import ContractError, SegError
from seg_toolkit.networks import build, torch_infer
from seg_toolkit.networks.unet3d import UNet3D
from torch.nn import functional as F

from tests.support.contracts import contract, contract_of

CLASSES = tuple(ClassInfo(f"class {i}", (i, i, i)) for i in range(3))


def normalised(width: int = 1, depth: int = 3, seed: int = 0) -> UNet3D:
    """A network whose normalisation has seen something, so that it is no identity."""
    torch.manual_seed(seed)
    net = UNet3D(2, 3, width, depth).train()
    side = {3: 92, 1: 28}[depth]
    with torch.no_grad():
        for _ in range(3):
            net(torch.rand(1, 2, side, side, side) * 2 - 0.5)
        net.head.bias.copy_(torch.tensor([0.1, 0.2, -0.1]))  # torch's exporter leaves out zeros
    return net.eval()


def test_the_papers_parameters_are_those_of_the_folded_network() -> None:
    net = UNet3D(3, 3, 32)
    counts = {name: p.numel() for name, p in net.named_parameters()}
    maps = sum(2 * 32 * n for n in (0.5, 1, 1, 2, 2, 4, 4, 8, 4, 4, 2, 2, 1, 1))
    assert maps == 2336
    assert sum(counts.values()) - maps == 19_069_955  # a bias a map in the place of scale and shift
    assert sum(counts.values()) == 19_072_291


def test_the_default_window_is_the_papers() -> None:
    with torch.device("meta"):
        net = UNet3D(3, 3, 32)
        assert net(torch.zeros(1, 3, *net.default_input)).shape == (1, 3, 28, 44, 44)
    assert net.output_shape((116, 132, 132)) == (28, 44, 44)
    assert net.stride == 8


def test_channels_double_before_each_pooling() -> None:
    net = UNet3D(1, 2, 4)
    assert [level[0].out_channels for level in net.down] == [4, 8, 16]
    assert [level[3].out_channels for level in net.down] == [8, 16, 32]
    assert (net.bottom[0].out_channels, net.bottom[3].out_channels) == (32, 64)


def test_wrong_windows_name_the_nearest() -> None:
    with pytest.raises(SegError, match=r"input size 117.*116 or 124"):
        UNet3D(1, 2, 1).output_shape((117, 132, 132))
    with pytest.raises(SegError, match="3 numbers for the network unet3d"):
        UNet3D(1, 2, 1).output_shape((132, 132))
    with pytest.raises(SegError, match="positive sizes"):
        UNet3D(0)


def test_it_is_rebuilt_from_its_description() -> None:
    net = normalised(depth=1)
    again = build(net.described)
    again.load_state_dict(net.state_dict())
    x = torch.rand(1, 2, 20, 22, 24)
    with torch.inference_mode():
        assert torch.equal(net(x), again.eval()(x))


@pytest.mark.parametrize(
    ("depth", "window", "size"), [(3, (100, 100, 100), (12, 20, 12)), (1, (20, 28, 24), (9, 23, 20))]
)
def test_tiles_of_a_volume_equal_one_pass_over_all_of_it(
    depth: int, window: tuple[int, int, int], size: tuple[int, int, int]
) -> None:
    """At depth 3 in steps of 8; the single pass is torch's, over the mirrored whole."""
    net = normalised(depth=depth)
    how = contract_of(net, window, pixels="float")
    assert how.geometry.step == tuple(o // net.stride * net.stride for o in how.geometry.output_shape)
    image = np.random.default_rng(0).random((*size, 2), np.float32)
    assert len(Grid.of(size, how.geometry).origins()) > 1
    _, tiled = segment(image, how, torch_infer(net, torch.device("cpu")), answer_of(how), probabilities=True)
    sides = [n + 2 * m for n, m in zip(size, how.geometry.margin, strict=True)]
    rest = [next(r for r in range(net.stride) if net.output_side(side + r)) for side in sides]
    x = np.pad(image, [*((m, m + r) for m, r in zip(how.geometry.margin, rest, strict=True)), (0, 0)], "reflect")
    with torch.inference_mode():
        whole = net(torch.from_numpy(x).movedim(-1, 0)[None])[0]
    expected = F.softmax(whole, dim=0)[:, : size[0], : size[1], : size[2]].numpy()
    assert np.abs(tiled - expected).max() < 1e-5


def test_export_folds_the_normalisation() -> None:
    net = normalised(depth=1)
    graph = to_onnx(net, contract_of(net, (20, 28, 28), pixels="float"))
    assert "BatchNormalization" not in {node.op_type for node in graph.graph.node}
    weights = sum(int(np.prod(t.dims)) for t in graph.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)
    norms = sum(p.numel() for m in net.modules() if isinstance(m, torch.nn.BatchNorm3d) for p in m.parameters())
    assert weights == sum(p.numel() for p in net.parameters()) - norms // 2


@pytest.mark.parametrize("geometry", ["fit", "stretch"])
def test_volumes_are_tiled_only(geometry: str) -> None:
    with pytest.raises(ContractError, match=f"geometry '{geometry}' for volumes; expected tile"):
        contract((20, 28, 28), (4, 12, 12), method=geometry, stride=2)
