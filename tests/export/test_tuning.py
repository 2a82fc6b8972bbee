"""`seg-edge tune`: a plain file becomes a faster one that answers alike, without torch, or nothing is written."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hatchling.build import build_wheel
from seg_export import tuning
from seg_export.graph import stamped
from seg_export.proof import logits_of
from seg_export.steps.rewrite import timing, winograd
from seg_export.steps.rewrite.apply import layers_of, rewritten
from seg_export.steps.rewrite.timing import Measured
from seg_runtime import Contract, ModelError, SegError, Segmenter
from seg_runtime.model import GOLDEN_KEY, METADATA_KEY, Identity, ModelFile, sealed
from seg_runtime.model.golden import FP32_LIMIT
from seg_runtime.support.errors import ParityError

from tests.support.commands import ok, seg_edge, seg_export
from tests.support.contracts import changed
from tests.support.images import noise_image
from tests.support.models import HOST_READY, Made, MakeModel
from tests.support.places import ROOT
from tests.support.trust import renamed


@pytest.fixture(scope="session")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a `.dist-info` as pip would install it: it knows the entry points of this very tree."""
    place = tmp_path_factory.mktemp("metadata")
    here = Path.cwd()
    os.chdir(ROOT)  # where a build backend is called
    try:
        wheel = place / build_wheel(str(place))
    finally:
        os.chdir(here)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place, [name for name in archive.namelist() if ".dist-info/" in name])
    return place


@pytest.fixture
def here(metadata: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with the entry points in sight."""
    monkeypatch.syspath_prepend(str(metadata))
    monkeypatch.delenv("SEG_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the search find a table of one form wherever it fits, whatever this machine's clock says."""

    def choose(form: str) -> None:
        def measure(graph: onnx.ModelProto, watch: Any, threads: int | None) -> Measured:
            watch(1, 1)
            return Measured(table=table(graph, form), network_ms={"torch": 2.0, form: 1.0})

        monkeypatch.setattr(timing, "measure", measure)
        monkeypatch.setattr(timing, "WORTH", math.inf)

    return choose


def table(graph: onnx.ModelProto, form: str) -> dict[str, str]:
    kind = {"winograd": "conv", "dilated": "crop"}[form]
    return {layer.name: form for layer in layers_of(graph) if layer.kind == kind}


def copied(model: Made, folder: Path) -> Path:
    """The model in a folder of its own, so that results may lie beside it."""
    target = folder / "model.onnx"
    target.write_bytes(model.path.read_bytes())
    return target


def told(path: Path) -> tuple[Contract, str]:
    """Contract and golden samples of a file whose digest is right."""
    found = ModelFile(path).take().onnx.metadata
    return Contract.from_json(bytes(found[METADATA_KEY]).decode()), bytes(found[GOLDEN_KEY]).decode()


def source_of(path: Path) -> tuning.Source:
    content = ModelFile(path).take()
    return tuning.read_source(content)


def test_a_real_run_in_a_fresh_process_loads_no_torch(model: Made, metadata: Path, tmp_path: Path) -> None:
    """It measures: this machine may find that nothing is faster, which is no failure."""
    code = (
        "import json, sys\n"
        "from seg_runtime.cli.program import main\n"
        "try:\n"
        "    main(['tune', sys.argv[1]])\n"
        "except SystemExit as end:\n"
        "    print(json.dumps({'code': end.code, 'modules': list(sys.modules)}), file=sys.stderr)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(metadata), *filter(None, sys.path)])}
    words = [sys.executable, "-c", code, str(copied(model, tmp_path))]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=env)
    end = json.loads(done.stderr.splitlines()[-1])
    assert end["code"] == 0, done.stderr
    assert {"onnx", "onnx_ir", "onnxscript"} <= set(end["modules"])
    assert not {"torch", "scipy", "seg_toolkit"} & set(end["modules"])
    report = json.loads(done.stdout)
    assert set(report["layer_ms"]) == {x.name for x in layers_of(onnx.load(model.path)) if x.kind == "conv"}
    target = tmp_path / "model.tuned.onnx"
    assert target.exists() == bool(report["forms"]) == (report["written"] == str(target))


@pytest.mark.parametrize("form", ["winograd", "dilated"])
def test_the_tuned_file(model: Made, here: Path, found: Callable[[str], None], form: str) -> None:
    found(form)
    path = renamed(model, here / "model.onnx", "liver-ct", "1.2")
    result = ok(seg_edge("tune", path))
    assert sorted(p.name for p in here.iterdir()) == ["model.onnx", "model.tuned.onnx"]
    tuned = here / "model.tuned.onnx"
    (contract, golden), (before, golden_before) = told(tuned), told(path)
    assert golden == golden_before
    assert contract.identity == Identity("liver-ct", "1.2")
    assert changed(contract, provenance=before.provenance, parity=before.parity) == before
    assert contract.provenance == {
        **before.provenance,
        "rewritten": table(onnx.load(path), form),
        "tuned_from": ModelFile(path).take().sha256,
        "tuned_on": contract.provenance["tuned_on"],
    }
    assert contract.provenance["tuned_on"]["processor"]
    assert {k: v for k, v in contract.parity.items() if k != "tuned"} == before.parity
    assert contract.parity["tuned"]["holds"]
    report = json.loads(result.stdout)
    assert report["written"] == str(tuned)
    assert report["self_test"]["passed"]
    assert report["parity"]["relative_error"] <= FP32_LIMIT
    assert report["ratio"] > 0
    assert f"wrote {tuned}" in result.stderr
    image = noise_image(150, 200)
    with Segmenter(tuned, provider="cpu", self_test=True) as ours, Segmenter(path, provider="cpu") as theirs:
        labels = ours(image).labels
        assert set(np.unique(labels)) == {0, 1}
        assert (labels != theirs(image).labels).mean() < 1e-3


@pytest.mark.parametrize("constant", ["g", "a_t", "b_t"])
def test_a_spoiled_rewrite_is_not_written(
    model: Made, here: Path, found: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, constant: str
) -> None:
    found("winograd")
    spoiled = getattr(winograd.F4, constant).copy()
    spoiled[1, 1] *= 1.01
    monkeypatch.setattr(winograd, "F4", winograd.F4._replace(**{constant: spoiled}))
    path = copied(model, here)
    result = seg_edge("tune", path)
    assert result.exit_code == 1
    assert "error: the tuned file does not agree with" in result.stderr
    assert [p.name for p in here.iterdir()] == ["model.onnx"]


def test_golden_samples_judge_it_too(model: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that answers as wrongly as the rewritten graph hides the error from the comparison, not from torch."""
    source = source_of(model.path)
    monkeypatch.setattr(winograd, "F4", winograd.F4._replace(ones=2))
    graph = rewritten(source.graph, table(source.graph, "winograd"))
    with Segmenter(stamped(graph, source.contract), provider="cpu") as segmenter:
        as_wrong = replace(source, logits=list(logits_of(segmenter.session, source.windows)))
    with pytest.raises(ParityError, match="fails the self-test on the golden samples"):
        tuning.prove(as_wrong, graph, {})


def test_a_device_that_fails_before_is_told_so(model: Made, here: Path) -> None:
    """Not the rewriting is to blame then, and no minute of measuring is lost."""
    proto = onnx.load(model.path)
    del proto.metadata_props[-1]
    tensor = next(t for t in proto.graph.initializer if t.name == "head.weight")
    tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * 1.01, tensor.name))
    (here / "model.onnx").write_bytes(sealed(proto.SerializeToString()))
    result = seg_edge("tune", "model.onnx")
    assert result.exit_code == 1
    assert "error: cpu does not reproduce the golden samples" in result.stderr


def test_without_golden_samples(model: Made, here: Path, found: Callable[[str], None]) -> None:
    found("dilated")
    (here / "old.onnx").write_bytes(stamped(onnx.load(model.path), model.contract))
    result = ok(seg_edge("tune", "old.onnx"))
    assert "note: old.onnx has no golden samples" in result.stderr
    assert json.loads(result.stdout)["self_test"] is None
    assert (here / "old.tuned.onnx").exists()


def test_nothing_is_faster(model: Made, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "WORTH", 0.0)
    result = ok(seg_edge("tune", copied(model, here)))
    assert "nothing was written" in result.stderr
    report = json.loads(result.stdout)
    assert report["written"] is None
    assert report["forms"] == {}
    assert [p.name for p in here.iterdir()] == ["model.onnx"]


def restamped(**values: Any) -> Callable[[Made], bytes]:
    return lambda model: stamped(onnx.load(model.path), changed(model.contract, **values))


def damaged(model: Made) -> bytes:
    content = bytearray(model.path.read_bytes())
    content[len(content) // 2] ^= 1
    return bytes(content)


def foreign(model: Made) -> bytes:
    proto = onnx.load(model.path)
    del proto.metadata_props[:]
    return proto.SerializeToString()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (restamped(batch=2), "takes 2 windows in one call; expected one window"),
        (restamped(precision="int8"), "computes in int8; expected fp32"),
        (restamped(precision="fp16"), "computes in fp16; expected fp32"),
        (
            restamped(provenance={"rewritten": {"a": "winograd"}}),
            "is already rewritten; .* Export the model without --optimize",
        ),
        (
            restamped(provenance={"rewritten": {"a": "b"}, "tuned_from": "1f"}),
            "Tune the original file, which has the SHA-256 1f",
        ),
        (damaged, "was changed or damaged"),
        (foreign, "has no contract"),
        (lambda model: b"no model", "is not an ONNX model"),
    ],
)
def test_only_plain_files(model: Made, tmp_path: Path, content: Callable[[Made], bytes], reason: str) -> None:
    (tmp_path / "odd.onnx").write_bytes(content(model))
    with pytest.raises(SegError, match=reason):
        tuning.tune(tmp_path / "odd.onnx", tuning.TuneOptions(out=tmp_path / "new" / "tuned.onnx"))
    assert [p.name for p in tmp_path.iterdir()] == ["odd.onnx"]


def test_a_host_ready_file_is_refused(make_model: MakeModel, tmp_path: Path) -> None:
    path = make_model(options=HOST_READY).path
    with pytest.raises(ModelError, match="is host-ready; expected a window file"):
        tuning.tune(path, tuning.TuneOptions(out=tmp_path / "tuned.onnx"))


def test_what_is_there_stays(model: Made, here: Path, found: Callable[[str], None]) -> None:
    found("dilated")
    path = copied(model, here)
    (here / "model.tuned.onnx").write_bytes(b"precious")
    result = seg_edge("tune", path)
    assert result.exit_code == 1
    assert "exists already. Replace it with --overwrite" in result.stderr
    assert (here / "model.tuned.onnx").read_bytes() == b"precious"
    ok(seg_edge("tune", path, "--overwrite"))
    assert told(here / "model.tuned.onnx")[0].provenance["rewritten"]


def test_never_over_the_model_itself(model: Made, here: Path) -> None:
    path = copied(model, here)
    (here / "link.onnx").hardlink_to(path)
    for out in ("model.onnx", "link.onnx"):
        result = seg_edge("tune", path, "--out", out, "--overwrite")
        assert result.exit_code == 2
        assert "is the model itself" in result.stderr
    assert path.read_bytes() == model.path.read_bytes()


def test_names(tmp_path: Path) -> None:
    def target(out: Path | None) -> Path:
        return tuning.TuneOptions(out=out).target(Path("a/m.onnx"))

    assert target(None) == Path("a/m.tuned.onnx")
    assert target(Path("b/c.onnx")) == Path("b/c.onnx")
    assert target(Path("b")) == Path("b/m.tuned.onnx")
    (tmp_path / "folder.onnx").mkdir()
    assert target(tmp_path / "folder.onnx") == tmp_path / "folder.onnx" / "m.tuned.onnx"


def test_a_signature_does_not_cover_the_tuned_file(model: Made, here: Path, found: Callable[[str], None]) -> None:
    found("dilated")
    path = copied(model, here)
    (here / "model.onnx.sig").write_bytes(b"of model.onnx")
    result = ok(seg_edge("tune", path, "--out", "new.onnx"))
    assert "new.onnx needs a new signature, new.onnx.sig" in result.stderr
    result = seg_edge("tune", path, "--require-signature", "key.pub", "--out", "other.onnx")
    assert result.exit_code == 1
    assert "key key.pub cannot be read" in result.stderr
    assert not (here / "other.onnx").exists()


@pytest.mark.parametrize("words", [("a.onnx", "b.onnx"), ("a.onnx", "--provider", "cuda"), ()])
def test_one_model_and_no_other_options(words: tuple[str, ...]) -> None:
    assert seg_edge("tune", *words).exit_code == 2


def test_seg_export_goes_the_same_way(model: Made, tmp_path: Path, found: Callable[[str], None]) -> None:
    found("dilated")
    target = tmp_path / "m.onnx"
    result = ok(seg_export(model.checkpoint, target, "--tune"))
    assert "forms measured on" in result.stdout
    provenance = told(target)[0].provenance
    assert provenance["rewritten"] == table(onnx.load(model.path), "dilated")
    assert set(provenance["tuned_on"]) == {"processor", "threads", "onnxruntime"}
