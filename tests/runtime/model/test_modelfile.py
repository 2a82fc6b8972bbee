"""A model file read beside the imports: its content once, its errors in the thread that asks for it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import FunctionType

import pytest
import seg_runtime
from seg_runtime import ModelError, SegError, Segmenter
from seg_runtime.model.modelfile import ModelFile
from seg_runtime.version import VERSION

from tests.support.commands import in_a_fresh_process


def test_the_content_is_taken_once(model_file: Path) -> None:
    reading = ModelFile(model_file)
    content = reading.take()
    assert content.sha256 == hashlib.sha256(content.data).hexdigest()
    assert content.name == str(model_file)
    with pytest.raises(SegError, match="already taken"):
        reading.take()


def test_a_segmenter_takes_a_file_that_is_being_read(model_file: Path) -> None:
    assert (
        Segmenter(ModelFile(model_file), provider="cpu").model_sha256
        == Segmenter(model_file, provider="cpu").model_sha256
    )


def test_what_goes_wrong_is_raised_where_the_content_is_asked_for(tmp_path: Path) -> None:
    reading = ModelFile(tmp_path / "no.onnx")
    with pytest.raises(ModelError, match="does not exist"):
        reading.take()


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.onnx").open("wb") as file:
        file.truncate(2**31)  # takes no room on disk
    with pytest.raises(ModelError, match=r"2147483648 bytes; expected at most 2147483647"):
        ModelFile(tmp_path / "huge.onnx").take()


def test_the_command_line_begins_without_numpy() -> None:
    loaded = in_a_fresh_process("import json, sys, seg_runtime.cli.run; print(json.dumps(list(sys.modules)))")
    assert "seg_runtime.model.modelfile" in loaded
    assert not {"numpy", "PIL", "onnxruntime", "importlib.metadata"} & set(loaded)


def test_every_public_name_is_there_and_no_other() -> None:
    found = {name: getattr(seg_runtime, name) for name in seg_runtime.__all__}
    aliases = {"Array", "Float", "Infer"}  # of types, which have no name of their own
    assert {name for name, value in found.items() if isinstance(value, (type, FunctionType))} == found.keys() - aliases
    assert all(found[name].__name__ == name for name in found.keys() - aliases)
    assert set(seg_runtime.__all__) <= set(dir(seg_runtime))
    assert seg_runtime.__version__ == VERSION
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = seg_runtime.Nothing  # type: ignore[attr-defined]
