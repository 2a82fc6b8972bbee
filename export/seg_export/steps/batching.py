"""A graph of one window -> the same graph of several windows in one call, for providers that gain from them.

Shapes stay fixed: the file takes so many windows always, and the runtime fills the last group of an image up. A node
that writes down the number of windows, a Reshape or a Resize, gets the new one; what mixes the windows is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import numpy_helper
from seg_runtime.engine.session import Session
from seg_runtime.model.contract import Contract, WindowFile
from seg_runtime.pipeline import Float
from seg_runtime.support.errors import ParityError, SegError

from ..graph.stamp import stamped
from ..proof.parity import Limits, Parity

SIZED = {"Reshape": 1, "Resize": 3}  # operator -> its input that holds a whole shape


def check_batch(batch: int, contract: Contract, host_ready: bool = False) -> None:
    """Refuse a batch that no image could fill, before the long work.

    Raises:
        SegError: none at all, or a form or geometry that takes one window at a time.
    """
    if batch < 1:
        raise SegError(f"a batch of {batch}", "1 or more", "leave it out for one window at a time")
    if batch > 1 and host_ready:
        came = f"a batch of {batch} for a host-ready file, whose graph takes its windows one by one"
        raise SegError(came, "a batch of 1", "leave one of the two out")
    if batch > 1 and contract.geometry.method != "tile":
        came = f"a batch of {batch} and geometry {contract.geometry.method}, where every image is one window"
        raise SegError(came, "geometry tile", "leave --batch out")


def batched(graph: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """The same network for `batch` windows.

    Args:
        graph: `image` `(1, C, *input_shape)` -> `logits` `(1, K, *output_shape)`.
        batch: windows in one call.

    Returns:
        A checked graph, `(batch, C, *input_shape)` -> `(batch, K, *output_shape)`.

    Raises:
        SegError: a Reshape that does not keep the windows apart, as Winograd's does.
    """
    result: onnx.ModelProto = onnx.ModelProto.FromString(graph.SerializeToString())
    places = result.graph
    shapes = {t.name: t for t in places.initializer}
    made: dict[str, str] = {}
    for node in places.node:
        place = SIZED.get(node.op_type)
        if place is None or len(node.input) <= place or not node.input[place]:
            continue
        name = node.input[place]
        sizes = numpy_helper.to_array(shapes[name]) if name in shapes else np.zeros(1)
        if sizes[0] != 1:
            came = f"{node.op_type} {node.name} lays out one window ({sizes.tolist()})"
            raise SegError(came, "a graph that keeps windows apart", "leave out --batch, or --optimize and --tune")
        if name not in made:
            made[name] = f"{name} of {batch} windows"
            more = np.array([batch, *sizes[1:]], sizes.dtype)
            places.initializer.append(numpy_helper.from_array(more, made[name]))
        node.input[place] = made[name]
    read = {name for node in places.node for name in node.input}
    for idle in [t for t in places.initializer if t.name in made and t.name not in read]:
        places.initializer.remove(idle)
    for value in (*places.input, *places.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del places.value_info[:]  # shapes of one window
    onnx.checker.check_model(result, full_check=True)
    return result


def in_batches(
    graph: onnx.ModelProto, proven: Session, contract: Contract, batch: int, samples: Sequence[Float], limits: Limits,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[onnx.ModelProto, Session, Contract]:  # fmt: skip
    """Graph, session and contract of a file that takes `batch` windows in one call and answers as the given one does.

    Args:
        graph: of one window.
        proven: its session, compared with torch already.
        contract: of that, with its parity.
        batch: windows in one call.
        samples: windows `(1, C, *input_shape)` to compare on; again, shifted, where they do not fill a batch.
        limits: of parity.
        watch: called with windows compared and windows in all.

    Raises:
        ParityError: a window is answered otherwise than alone.
        SegError: of `batched`.
    """
    graph, contract = batched(graph, batch), replace(contract, file=WindowFile(contract.file.precision, batch))
    session, result = Session(stamped(graph, contract), provider="cpu"), Parity()
    turns = range(-(-max(batch, len(samples)) // len(samples)))
    shifted = [np.roll(window, 7 * turn, axis=-1) for turn in turns for window in samples]  # no two of a batch alike
    windows = shifted[: max(batch, len(samples))]
    for first in range(0, len(windows), batch):
        group = windows[first : first + batch]
        for window, logits in zip(group, session.run(np.concatenate(group)), strict=True):
            result.add(proven.run(window)[0], logits, contract)
            watch(result.windows, len(windows))
    if found := result.failures(limits):
        came = f"windows in a batch of {batch} are not answered as alone ({'; '.join(found)})"
        raise ParityError(came, "the same answers", "nothing was written; leave out --batch")
    figures = {k: v for k, v in result.as_dict(limits).items() if k in ("windows", "max_abs_error", "flipped")}
    return graph, session, replace(contract, parity={**contract.parity, "batch": figures})
