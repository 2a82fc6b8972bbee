import json
import re

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from seg_export.graph import IR_VERSION, OPSET, stamped
from seg_export.network import to_onnx
from seg_export.options import ExportOptions
from seg_export.pipeline import export, write
from seg_runtime import ClassInfo, Contract, Intensity, Segmenter
from seg_runtime.engine.session import Session
from seg_runtime.model import Identity
from seg_runtime.support.errors import ModelError, ParityError, SegError
from seg_toolkit.checkpoints import Checkpoint, save
from seg_toolkit.data import ClassValues
from seg_toolkit.networks.unet import UNet

from tests.support.commands import ok, seg_export
from tests.support.contracts import changed, contract_of
from tests.support.models import CPU

CLASSES = (ClassInfo("background", (0, 0, 0)), ClassInfo("cell", (255, 0, 0)))


def checkpoint(channels=1, classes=CLASSES, size=252, **network) -> Checkpoint:
    torch.manual_seed(2)  # of the small random networks one that answers both classes
    model = UNet(channels, len(classes), width=network.pop("width", 2), **network)
    stored = tuple(ClassValues(info, (i,)) for i, info in enumerate(classes))
    return Checkpoint(model.described, model.state_dict(), contract_of(model, size, classes), stored)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.pt"
    save(checkpoint(), path)
    return path


def spoil_one_weight(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Change one of the weights of the last layer by a tenth of a per cent of the largest."""
    spoiled = onnx.ModelProto.FromString(graph.SerializeToString())
    tensor = next(t for t in spoiled.graph.initializer if t.name == "head.weight")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values.flat[0] += 0.01 * np.abs(values).max()
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return spoiled


@pytest.mark.parametrize(("channels", "classes"), [(1, 2), (3, 2), (3, 5)])
def test_names_shapes_and_versions(channels, classes):
    names = tuple(ClassInfo(f"c{i}", (i, i, i)) for i in range(classes))
    source = checkpoint(channels, names, size=572)
    graph = to_onnx(source.build(), source.contract)
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.graph.input, *graph.graph.output)
    }
    assert shapes == {"image": [1, channels, 572, 572], "logits": [1, classes, 388, 388]}
    assert graph.ir_version == IR_VERSION <= 10
    assert [(o.domain, o.version) for o in graph.opset_import] == [("", OPSET)]
    assert OPSET <= 21  # the newest that ONNX Runtime 1.18 knows


def test_only_standard_operators():
    source = checkpoint()
    kinds = {n.op_type for n in to_onnx(source.build(), source.contract).graph.node}
    assert kinds == {"Conv", "Relu", "MaxPool", "ConvTranspose", "Slice", "Concat"}


def test_the_file_does_not_tell_where_it_was_made():
    source = checkpoint()
    content = stamped(to_onnx(source.build(), source.contract), source.contract)
    assert not re.search(rb"\.py\b|/site-packages/", content)


@pytest.mark.parametrize("skip", ["crop", "resize"])
@pytest.mark.parametrize(("width", "size"), [(2, 252), (8, 572)])
def test_parity_holds(skip, width, size):
    exported = export(checkpoint(skip=skip, width=width, size=size))
    assert exported.contract.parity["holds"]
    assert exported.contract.parity["windows"] == 4
    assert 0 < exported.contract.parity["relative_error"] < 1e-5


def test_same_checkpoint_same_file(exported_once):
    contents = []
    for _ in range(2):
        exported_once.forget()
        contents.append(export(checkpoint()).content)
    assert contents[0] == contents[1]


def test_contract_comes_back_with_parity_and_provenance(tmp_path):
    exported = export(checkpoint())
    write(exported, tmp_path / "model.onnx")
    session = Session(tmp_path / "model.onnx", CPU)
    assert session.contract == Contract.from_json(exported.contract.to_json())
    assert session.contract.parity["holds"]
    assert len(session.contract.provenance["weights_sha256"]) == 64
    assert session.contract.provenance["exported_with"]["torch"] == torch.__version__


def test_one_spoiled_weight_is_refused_and_the_old_file_stays(monkeypatch, saved, tmp_path):
    monkeypatch.setattr(
        "seg_export.pipeline.to_onnx", lambda model, contract: spoil_one_weight(to_onnx(model, contract))
    )
    target, report = tmp_path / "model.onnx", tmp_path / "report.json"
    target.write_bytes(b"an older file")
    result = seg_export(saved, target, "--report", report)
    assert result.exit_code == 1
    assert "parity of ONNX fp32 with torch" in result.output
    assert "does not agree with torch" in result.stderr
    assert target.read_bytes() == b"an older file"
    assert json.loads(report.read_text())["parity"]["holds"] is False
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "report.json"]


def test_nan_weights_are_refused():
    broken = checkpoint()
    broken.state = {k: v * np.nan if k == "head.bias" else v for k, v in broken.state.items()}
    with pytest.raises(ParityError, match="NaN"):
        export(broken)


def test_real_images_are_compared(saved, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for i in range(2):
        Image.fromarray(rng.integers(0, 256, (500, 420), dtype=np.uint8)).save(pictures / f"{i}.png")
    target, report = tmp_path / "model.onnx", tmp_path / "report.json"
    ok(seg_export(saved, target, "--images", pictures, "--report", report))
    figures = json.loads(report.read_text())["parity"]
    assert figures["images"] == "real"
    assert figures["windows"] == 4
    with Segmenter(target, provider="cpu") as segmenter:
        assert segmenter(pictures / "0.png").labels.shape == (500, 420)


@pytest.mark.parametrize(("asked", "nearest"), [(570, "556 or 572"), (100, "188"), (573, "572 or 588")])
def test_wrong_input_size_names_the_nearest(saved, tmp_path, asked, nearest):
    result = seg_export(saved, tmp_path / "m.onnx", "--input-size", asked)
    assert result.exit_code == 2
    assert f"Use {nearest}; valid sizes are 16 px apart" in result.stderr
    assert not (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize("options", [["--input-size", "500"], ["--images", "nope"], ["--step", "nope"]], ids=" ".join)
def test_options_are_checked_before_the_graph_is_exported(saved, tmp_path, options):
    result = seg_export(saved, tmp_path / "m.onnx", *options)
    assert result.exit_code in (1, 2)
    assert result.stderr.count("\n") == 1


def test_another_input_size(saved, tmp_path):
    ok(seg_export(saved, tmp_path / "m.onnx", "--input-size", "300"))
    session = Session(tmp_path / "m.onnx", CPU)
    assert (session.contract.geometry.input_shape, session.contract.geometry.output_shape) == ((300, 300), (116, 116))


def test_labels_do_not_depend_on_the_input_size(tmp_path):
    """Tiling is exact, so a smaller window gives the same answer."""
    source = checkpoint()
    image = np.random.default_rng(1).integers(0, 256, (420, 390), dtype=np.uint8)
    answers = [
        Segmenter(export(source, ExportOptions(input_size=size)).content, provider="cpu")(image).labels
        for size in (252, 316)
    ]
    assert 0 < answers[0].mean() < 1
    assert np.array_equal(*answers)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.pt", None, "does not exist"),
        ("text.pt", b"hello", "is not a checkpoint made by seg-train"),
        ("empty.pt", b"", "is not a checkpoint made by seg-train"),
    ],
)
def test_bad_checkpoint_is_one_line(tmp_path, name, content, says):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = seg_export(tmp_path / name, tmp_path / "m.onnx")
    assert result.exit_code == 1
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "m.onnx").exists()


def test_foreign_checkpoint_is_refused(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "foreign.pt")
    result = seg_export(tmp_path / "foreign.pt", tmp_path / "m.onnx")
    assert result.exit_code == 1
    assert "expected a checkpoint made by seg-train" in result.stderr


def test_resume_state_is_no_model(tmp_path):
    source = checkpoint()
    source.state = {}
    save(source, tmp_path / "model.resume.pt")
    result = seg_export(tmp_path / "model.resume.pt", tmp_path / "m.onnx")
    assert result.exit_code == 1
    assert "do not fit its network" in result.stderr


@pytest.mark.parametrize(("target", "code"), [("model.txt", 2), ("folder.onnx", 1)])
def test_bad_target(saved, tmp_path, target, code):
    (tmp_path / "folder.onnx").mkdir()
    result = seg_export(saved, tmp_path / target)
    assert result.exit_code == code
    assert result.stderr.startswith("error: ")


def test_folder_without_images(saved, tmp_path):
    result = seg_export(saved, tmp_path / "m.onnx", "--images", tmp_path)
    assert result.exit_code == 1
    assert "has no images" in result.stderr


def test_a_contract_that_does_not_fit_the_graph_is_refused():
    source = checkpoint()
    graph = to_onnx(source.build(), source.contract)
    wrong = changed(source.contract, channels=3, intensity=Intensity("scale"))
    with pytest.raises(ModelError, match="as its contract states"):
        Session(stamped(graph, wrong), CPU)


def test_fit_needs_no_tiling_size_but_tile_does():
    source = checkpoint()
    with pytest.raises(SegError, match="at least 16 px"):
        export(source, ExportOptions(input_size=188))
    source.contract = changed(source.contract, method="fit")
    assert export(source, ExportOptions(input_size=188)).contract.parity["holds"]


@pytest.mark.parametrize("form", [{}, {"batch": 2}, {"host_ready": True}, {"optimize": True}])
def test_every_form_has_the_name_and_version_of_the_checkpoint_or_of_the_options(form):
    source = checkpoint()
    assert export(source, ExportOptions(name="liver-ct", model_version="1.2", **form)).contract.identity == Identity(
        "liver-ct", "1.2"
    )
    source.contract = changed(source.contract, identity=Identity("liver", "2"))
    assert export(source, ExportOptions(**form)).contract.identity == Identity("liver", "2")
    assert export(source, ExportOptions(model_version="2.1", **form)).contract.identity == Identity("liver", "2.1")


def test_the_name_on_the_command_line(saved, tmp_path):
    result = seg_export(saved, tmp_path / "a.onnx", "--name", "liver-ct", "--model-version", "new")
    assert result.exit_code == 2
    assert "error: --model-version needs numbers with dots. Choose one such as 1.2.0." in result.stderr
    assert not (tmp_path / "a.onnx").exists()
    ok(seg_export(saved, tmp_path / "a.onnx", "--name", "liver-ct", "--model-version", "1.2"))
    with Segmenter(tmp_path / "a.onnx", provider="cpu") as segmenter:
        assert segmenter.contract.identity == Identity("liver-ct", "1.2")
