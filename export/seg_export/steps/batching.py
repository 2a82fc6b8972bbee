"""A graph of one window -> the same graph of several windows in one call, for providers that gain from them.

Shapes stay fixed: the file takes so many windows always, and the runtime fills the last group of an image up. A node
that writes down the number of windows, a Reshape or a Resize, gets the new one; what mixes the windows is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import numpy_helper
from seg_runtime import Array, SegError
from seg_runtime.model import WindowFile

from .step import State, Step

_SIZED = {"Reshape": 1, "Resize": 3}  # operator -> its input that holds a whole shape


class Batching(Step):
    """Let the file take several windows in one call, and prove that each is answered as alone."""

    def apply(self, state: State) -> None:
        """Change the graph; it is compared on as many windows as fill a batch at least."""
        batch, before, file = state.request.options.batch, state.session, state.contract.file
        contract = replace(state.contract, file=WindowFile(file.precision, batch))
        state.change(batched(state.graph, batch), contract)
        state.samples = _filled(state.samples, batch)
        state.prove(before, "batch", f"the file of {batch} windows in a call", "leave out --batch")


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
    result = onnx.ModelProto()
    result.CopyFrom(graph)
    places = result.graph
    shapes = {t.name: t for t in places.initializer}
    made: dict[str, str] = {}
    for node in places.node:
        place = _SIZED.get(node.op_type)
        if place is None or len(node.input) <= place or not node.input[place]:
            continue
        name = node.input[place]
        sizes = numpy_helper.to_array(shapes[name]) if name in shapes else np.zeros(1)
        if sizes[0] != 1:
            problem = f"{node.op_type} {node.name} lays out one window ({sizes.tolist()})"
            raise SegError(problem, "a graph that keeps windows apart", "leave out --batch, or --optimize and --tune")
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


def _filled(samples: Sequence[Array], batch: int) -> list[Array]:
    """At least one batch of windows: the samples again, shifted, so that no two of a batch are alike."""
    turns = range(-(-max(batch, len(samples)) // len(samples)))
    shifted = [np.roll(window, 7 * turn, axis=-1) for turn in turns for window in samples]
    return shifted[: max(batch, len(samples))]
