"""U-Nets trained elsewhere: written here as other houses write them, taken over, and answering the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from seg_runtime.support.errors import ModelError, SegError
from seg_toolkit.checkpoints import Shape, digest_of, fit_weights, load, read_state, shape_of
from seg_toolkit.networks import torch_infer
from seg_toolkit.networks.attention import AttentionUNet
from seg_toolkit.networks.unet import UNet
from torch import Tensor, nn

from tests.support.commands import ok, seg_edge, seg_train
from tests.support.folders import SMALL, write_discs, write_pairs
from tests.support.images import put


class Elsewhere(nn.Module):
    """A padded U-Net of two poolings with names, order of joining, biases and norms of its own."""

    def __init__(
        self, channels: int = 1, classes: int = 2, width: int = 4, norm: str = "batch", skip_first: bool = True
    ):
        super().__init__()

        def block(a: int, b: int) -> nn.Sequential:
            parts: list[nn.Module] = []
            for source in (a, b):
                parts.append(nn.Conv2d(source, b, 3, padding=1, bias=norm == "none"))
                parts += {"none": [], "batch": [nn.BatchNorm2d(b)], "instance": [nn.InstanceNorm2d(b, affine=True)]}[
                    norm
                ]
                parts.append(nn.ReLU())
            return nn.Sequential(*parts)

        self.skip_first = skip_first
        self.inc, self.enc = block(channels, width), block(width, 2 * width)
        self.deepest = block(2 * width, 4 * width)
        self.up1, self.dec1 = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2), block(4 * width, 2 * width)
        self.up2, self.dec2 = nn.ConvTranspose2d(2 * width, width, 2, 2), block(2 * width, width)
        self.outc = nn.Conv2d(width, classes, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        first = self.inc(x)
        second = self.enc(self.pool(first))
        x = self.up1(self.deepest(self.pool(second)))
        x = self.dec1(self._joined(second, x))
        return self.outc(self.dec2(self._joined(first, self.up2(x))))  # type: ignore[no-any-return]

    def _joined(self, skip: Tensor, x: Tensor) -> Tensor:
        return torch.cat([skip, x] if self.skip_first else [x, skip], 1)


def trained(**arguments: bool | int | str) -> Elsewhere:
    """With running statistics that are not the first ones."""
    torch.manual_seed(0)
    network = Elsewhere(**arguments)  # type: ignore[arg-type]
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(2, 1, 32, 32) * 3)
        for value in network.parameters():
            value += 0.05 * torch.randn(value.shape)
    return network.eval()


def ours(norm: str = "batch", classes: int = 2, width: int = 4, depth: int = 2, channels: int = 1) -> UNet:
    return UNet(channels, classes, width, depth, padding="same", norm=norm, margin=0).eval()


@pytest.mark.parametrize("skip_first", [True, False])
@pytest.mark.parametrize("norm", ["none", "batch", "instance"])
def test_it_answers_the_same(norm: str, skip_first: bool) -> None:
    other, network = trained(norm=norm, skip_first=skip_first), ours(norm)
    fit_weights(network, other.state_dict(), skip_first)
    x = torch.rand(1, 1, 40, 48)
    with torch.inference_mode():
        wanted, came = other(x), network(x)
        torch.testing.assert_close(came, wanted, rtol=1e-5, atol=1e-6)
        fit_weights(network, other.state_dict(), not skip_first)
        assert (
            network(x) - wanted
        ).abs().max() > 0.01  # the order in which maps are joined cannot be seen, but matters


def test_a_sigmoid_of_one_map_becomes_two_classes() -> None:
    other, network = trained(classes=1), ours()
    fit_weights(network, other.state_dict(), skip_first=True)
    x = torch.rand(1, 1, 40, 48)
    with torch.inference_mode():
        torch.testing.assert_close(network(x).softmax(1)[:, 1:], other(x).sigmoid(), rtol=1e-5, atol=1e-6)


def test_an_instance_norm_without_factors() -> None:
    network, other = ours("instance"), trained(norm="none")
    fit_weights(network, other.state_dict())  # as of a network whose norms hold nothing
    assert torch.equal(network.bottom[1].weight, torch.ones(16))
    assert torch.equal(network.bottom[3].weight, other.deepest[2].weight)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"width": 8}, r"layer inc.0 has a weight of shape \(4, 1, 3, 3\); expected \(8, 1, 3, 3\)"),
        ({"channels": 3}, r"layer inc.0 has a weight of shape \(4, 1, 3, 3\); expected \(4, 3, 3, 3\)"),
        ({"norm": "none"}, "layer inc.1 has the unexpected tensors running_mean, running_var; expected a convolution"),
        ({"norm": "instance"}, "layer inc.1 has the unexpected tensors running_mean, running_var; expected a norm"),
        ({"depth": 1}, r"layer deepest.0 has a weight of shape \(16, 8, 3, 3\)"),
        ({"depth": 3}, r"layer up1 has a weight of shape \(16, 8, 2, 2\); expected \(32, 16, 3, 3\)"),
        ({"classes": 3}, r"layer outc has a weight of shape \(2, 4, 1, 1\); expected \(3, 4, 1, 1\)"),
    ],
)
def test_the_first_layer_that_does_not_fit_is_named(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        fit_weights(ours(**arguments), trained().state_dict())  # type: ignore[arg-type]


ORDERS = {
    "transposed convolutions, then blocks": ("inc", "enc", "deepest", "up", "dec", "outc"),
    "way up first, bottom after the way down": ("up1", "dec1", "up2", "dec2", "inc", "enc", "deepest", "outc"),
    "blocks first, head first": ("outc", "inc", "enc", "deepest", "dec1", "dec2", "up1", "up2"),
    "from the bottom": ("deepest", "dec2", "dec1", "up2", "up1", "enc", "inc", "outc"),
}


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_blocks_in_another_order_are_sorted_by_shape(order: tuple[str, ...], norm: str) -> None:
    other, network = trained(norm=norm), ours(norm)
    state = {key: value for part in order for key, value in other.state_dict().items() if key.startswith(part)}
    assert shape_of(state) == Shape(1, 4, 2, norm, 2)
    fit_weights(network, state, skip_first=True)
    x = torch.rand(1, 1, 40, 48)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), other(x), rtol=1e-5, atol=1e-6)


def test_norms_after_both_convolutions_of_a_block() -> None:
    other, network = trained(), ours()
    state = other.state_dict()
    blocks = dict.fromkeys(name.partition(".")[0] for name in state)
    late = [[key for key in state if key.startswith(f"{block}.") and (key[len(block) + 1] in "14") == norms]
            for block in blocks for norms in (False, True)]  # fmt: skip
    fit_weights(network, {key: state[key] for keys in late for key in keys}, skip_first=True)
    x = torch.rand(1, 1, 40, 48)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), other(x), rtol=1e-5, atol=1e-6)


def test_weights_of_another_network_are_told_before_images_are_read(tmp_path: Path) -> None:
    state = {name: value for name, value in trained().state_dict().items() if not name.startswith("enc.3")}
    torch.save(state, tmp_path / "state.pt")
    told = seg_edge("import", tmp_path / "state.pt", tmp_path, "-o", tmp_path / "m.pt", "--intensity", "scale")
    assert "layer enc.4 has" in told.stderr
    assert "Import a plain U-Net: two convolutions" in told.stderr


def test_too_short_and_too_long() -> None:
    state = trained().state_dict()
    short = {name: value for name, value in state.items() if not name.startswith("outc")}
    with pytest.raises(ModelError, match="ends before the layer head"):
        fit_weights(ours(), short)
    with pytest.raises(ModelError, match=r"has the layer aux.conv after the last layer"):
        fit_weights(ours(), {**state, "aux.conv.weight": torch.zeros(1)})


def test_other_networks_take_none() -> None:
    with pytest.raises(SegError, match="cannot be imported into the network attention"):
        fit_weights(AttentionUNet(1, 2, 2), {})


def test_files(tmp_path: Path) -> None:
    state = trained().state_dict()
    for name, content in (("plain", state), ("nested", {"epoch": 3, "state_dict": state}),
                          ("noted", {**state, "mask_values": [0, 255]})):  # fmt: skip
        torch.save(content, tmp_path / name)
        assert list(read_state(tmp_path / name)) == list(state)
    torch.save(trained(), tmp_path / "network")  # the network itself, pickled
    torch.save({"epoch": 3}, tmp_path / "none")
    torch.save({"a": state, "b": state}, tmp_path / "several")
    (tmp_path / "text").write_text("hello")
    for name, says in (("network", "Save network.state_dict()"), ("none", "contains no state dict"), ("several", "or more than one"),
                       ("text", "is not a PyTorch state dict"), ("missing", "does not exist"), ("", "is a folder")):  # fmt: skip
        with pytest.raises(ModelError) as caught:
            read_state(tmp_path / name)
        assert says in str(caught.value)


@pytest.mark.parametrize(
    ("norm", "classes", "channels", "width"), [("batch", 1, 1, 4), ("none", 3, 3, 2), ("instance", 2, 4, 6)]
)
def test_the_shape_is_read_from_the_weights(norm: str, classes: int, channels: int, width: int) -> None:
    state = Elsewhere(channels, classes, width, norm).state_dict()
    assert shape_of(state) == Shape(channels, width, 2, norm, max(2, classes))
    assert shape_of(ours(norm, 3, width, 4, channels).state_dict()).depth == 4


def test_weights_that_are_of_no_unet_have_no_shape() -> None:
    with pytest.raises(ModelError, match="not that of a U-Net with transposed convolutions"):
        shape_of(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 1)).state_dict())


def test_import_writes_a_checkpoint_and_scores_it(tmp_path: Path) -> None:
    data, out, file = write_pairs(tmp_path / "data"), tmp_path / "m.pt", tmp_path / "state.pt"
    other = trained()
    torch.save(other.state_dict(), file)
    words = ["import", file, data, "-o", out, "--skip-first", "--padding", "same",
             "--margin", "0", "--input-size", "40", "--geometry", "fit", "--device", "cpu"]  # fmt: skip
    told = seg_edge(*words)
    assert told.exit_code == 2
    assert "import needs --intensity" in told.stderr
    assert "--steps is an option of seg-edge train" in seg_edge(*words, "--intensity", "scale", "--steps", "3").stderr
    told = ok(seg_edge(*words, "--intensity", "scale"))
    kept = load(out)
    provenance = kept.contract.provenance
    assert provenance["imported"]["sha256"] == digest_of(file)
    assert provenance["validation"]["images"] == 3
    assert (kept.contract.geometry.input_shape, kept.contract.geometry.output_shape) == ((40, 40), (40, 40))
    grey = np.asarray(Image.open(data / "images" / "a0.png"), np.float32)[None, None] / 255
    with torch.inference_mode():
        wanted = other(torch.from_numpy(grey)).numpy()
    came = torch_infer(kept.build(), torch.device("cpu"))(grey)
    np.testing.assert_allclose(came, wanted, rtol=1e-4, atol=1e-5)
    assert "note:" not in told.stderr
    assert f"network: 1 channel, width 4, depth 2, norm batch, 2 classes (read from {file})" in told.stderr
    for of_training in ("augmentation", "class weights", "border weight", "balanced windows", "split"):
        assert of_training not in told.stderr
    assert "exists" in seg_edge(*words, "--intensity", "scale").stderr
    for option, given, has in (("width", 8, 4), ("depth", 3, 2), ("norm", "none", "batch"), ("channels", 3, 1)):
        told = seg_edge(*words, "--intensity", "scale", f"--{option}", given, "--overwrite")
        assert f"--{option} is {given}, but {file} has {has}. Leave out --{option}." in told.stderr
    told = seg_edge(*words, "--intensity", "scale", "--classes", "a=0,b=255,c=7", "--overwrite")
    assert f"{file} has 2 classes, but the masks in {data} have 3" in told.stderr
    assert load(out).network == kept.network  # the old file stays
    ok(seg_edge(*words, "--intensity", "scale", "--overwrite", "--recipe", "semantic", "--dropout", "0"))
    assert load(out).contract.provenance["recipe"] == "semantic"


@pytest.mark.parametrize("skip_first", [True, False])
def test_the_order_of_the_skips_is_found_by_the_scores(skip_first: bool, tmp_path: Path) -> None:
    """The masks are what the network answers, so that the right order scores 1."""
    other, data, file = trained(skip_first=skip_first), tmp_path / "data", tmp_path / "state.pt"
    images = np.random.default_rng(0).integers(0, 255, (3, 40, 40), np.uint8)
    with torch.inference_mode():
        logits = other(torch.from_numpy(images[:, None].astype(np.float32) / 255))
        other.outc.bias[1] -= (logits[:, 1] - logits[:, 0]).median()  # half of the pixels are foreground
        masks = other(torch.from_numpy(images[:, None].astype(np.float32) / 255)).argmax(1).numpy()
    for place, (image, mask) in enumerate(zip(images, masks, strict=True)):
        put(data / "images" / f"{place}.png", image)
        put(data / "masks" / f"{place}.png", (mask * 255).astype(np.uint8))
    torch.save(other.state_dict(), file)
    told = ok(seg_edge("import", file, data, "-o", tmp_path / "m.pt", "--padding", "same", "--margin", "0", "--input-size", "40",
                       "--geometry", "fit", "--device", "cpu", "--intensity", "scale"))  # fmt: skip
    first = "skip" if skip_first else "upsampled map"
    assert f"the network joins the {first} first: Dice 1.00 against 0." in told.stderr
    provenance = load(tmp_path / "m.pt").contract.provenance
    assert provenance["imported"]["skip_first"] is skip_first
    assert provenance["validation"]["mean_dice"] > 0.99


def test_images_of_other_channels_are_to_be_converted_to_those_of_the_weights(tmp_path: Path) -> None:
    """The advice must not be an option that is refused, because the weights say how many channels there are."""
    colour = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    data, file = write_discs(tmp_path / "data", colour, colour[::-1]), tmp_path / "state.pt"
    torch.save(trained().state_dict(), file)
    words = [
        "import",
        file,
        data,
        "-o",
        tmp_path / "m.pt",
        "--padding",
        "same",
        "--geometry",
        "fit",
        "--intensity",
        "scale",
    ]
    told = seg_edge(*words, "--device", "cpu")
    assert "has 3 channels; expected 1 (as in state.pt). Convert all to grey images." in told.stderr


def test_what_is_measured_on_data_is_said_unless_it_is_given(tmp_path: Path) -> None:
    data, out, file = write_pairs(tmp_path / "data"), tmp_path / "m.pt", tmp_path / "state.pt"
    torch.save(trained().state_dict(), file)
    words = ["import", file, data, "-o", out, "--skip-first", "--padding", "same", "--norm", "batch", "--width", "4",
             "--depth", "2", "--margin", "0", "--input-size", "40", "--geometry", "fit", "--overwrite", "--intensity"]  # fmt: skip
    told = seg_edge(*words, "standardize")
    measured = load(out).contract.input.intensity
    assert (
        f"mean {measured.mean[0]:.4g} and spread {measured.std[0]:.4g}. This was measured on the images in"
        in told.stderr
    )
    told = seg_edge(*words, "standardize:0.25,0.125")
    assert "note:" not in told.stderr
    given = load(out).contract.input.intensity
    assert (given.mean, given.std) == ((0.25,), (0.125,))
    assert "the least spread of an image" in seg_edge(*words, "zscore").stderr
    assert "has numbers for 2 channels; expected one channel" in seg_edge(*words, "standardize:0.25+0.5,0.1+0.1").stderr


def test_a_checkpoint_of_seg_edge_needs_no_import(tmp_path: Path) -> None:
    data, out = write_pairs(tmp_path / "data"), tmp_path / "m.pt"
    ok(seg_train(data, "-o", out, *SMALL, "--steps", "1"))
    told = seg_edge("import", out, data, "-o", tmp_path / "new.pt", "--intensity", "scale")
    assert told.exit_code == 1
    assert "m.pt is already a checkpoint of seg-edge; expected weights of another program" in told.stderr


def test_an_empty_class_counts_as_asked(tmp_path: Path) -> None:
    """A class that nobody has and nobody finds counts not at all, or as found; evaluate does as import did."""
    data, out, file = write_pairs(tmp_path / "data"), tmp_path / "m.pt", tmp_path / "state.pt"
    other = trained(classes=3)
    with torch.no_grad():
        other.outc.bias[2] = -100  # never the third class
    torch.save(other.state_dict(), file)
    words = ["import", file, data, "-o", out, "--skip-first", "--padding", "same", "--norm", "batch", "--width", "4",
             "--depth", "2", "--margin", "0", "--input-size", "40", "--geometry", "fit", "--overwrite", "--intensity", "scale",
             "--classes", "background=0,cell=255,virus=7"]  # fmt: skip
    scores = {}
    for empty in ("skip", "one"):
        ok(seg_edge(*words, "--empty-dice", empty))
        scores[empty] = load(out).contract.provenance["validation"]
        again = seg_edge("evaluate", out, data)
        assert json.loads(again.stdout)["mean_dice"] == scores[empty]["mean_dice"]
    assert [s["classes"][2]["dice"] for s in scores.values()] == [None, 1.0]
    assert scores["one"]["mean_dice"] > scores["skip"]["mean_dice"]
