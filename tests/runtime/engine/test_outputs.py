"""Host-ready files whose outputs do not fit the image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from seg_runtime import ModelError, Segmenter, SelfTestError

from tests.support.damage import resealed
from tests.support.images import noise_image
from tests.support.models import HOST_READY, MakeModel


def after(name: str, *nodes: onnx.NodeProto, **constants: np.ndarray) -> Callable[[onnx.ModelProto], None]:
    """Put nodes from `before` to `name` behind the output `name`."""

    def change(proto: onnx.ModelProto) -> None:
        graph = proto.graph
        for node in graph.node:
            node.output[:] = ["before" if output == name else output for output in node.output]
            node.input[:] = ["before" if given == name else given for given in node.input]
        for key, value in constants.items():
            graph.initializer.append(numpy_helper.from_array(value, key))
        graph.node.extend(nodes)

    return change


CUT = after(
    "labels",
    helper.make_node("Slice", ["before", "zeros", "ends"], ["labels"]),
    zeros=np.zeros(2, np.int64),
    ends=np.array([20, 30]),
)
FOREIGN = after(
    "labels",
    helper.make_node("Cast", ["before"], ["wide"], to=TensorProto.INT32),
    helper.make_node("Add", ["wide", "seven"], ["more"]),
    helper.make_node("Cast", ["more"], ["labels"], to=TensorProto.UINT8),
    seven=np.array(7, np.int32),
)


STUCK = after("next_origin", helper.make_node("Mul", ["before", "zero"], ["next_origin"]), zero=np.array(0, np.int64))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (CUT, r"labels has the shape \(20, 30\)"),
        (FOREIGN, "foreign values"),
        (STUCK, "next_origin has foreign values"),
    ],
)
def test_labels_that_do_not_fit_are_an_error(
    make_model: MakeModel, tmp_path: Path, change: Callable[[onnx.ModelProto], None], reason: str
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(resealed(make_model(options=HOST_READY).path, change))
    with Segmenter(path, provider="cpu") as segmenter, pytest.raises(ModelError, match=reason):
        segmenter(noise_image(64, 80))
    if change is not STUCK:  # a golden sample is one window
        with pytest.raises((ModelError, SelfTestError)):
            Segmenter(path, provider="cpu", self_test=True)
