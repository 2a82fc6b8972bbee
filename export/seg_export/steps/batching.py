"""Graph for one window -> graph for several windows per call, for providers that are faster with batches.

Shapes stay fixed: the file always takes this number of windows, and the runtime fills up the last batch of an image. The
shapes in Reshape and Resize nodes get the new number of windows. Graphs that mix windows are refused.
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

_SIZED = {"Reshape": 1, "Resize": 3}  # operator -> index of its input with a whole shape


class Batching(Step):
    """Make the file take several windows per call, and prove that each gives the same logits as alone."""

    def apply(self, state: State) -> None:
        """Change the graph, and compare it on at least one full batch of windows."""
        batch, before, file = state.request.options.batch, state.session, state.contract.file
        contract = replace(state.contract, file=WindowFile(file.precision, batch))
        state.change(batched(state.graph, batch), contract)
        state.samples = _filled(state.samples, batch)
        state.prove(before, "batch", f"the file with {batch} windows per call", "leave out --batch")


def batched(graph: onnx.ModelProto, batch: int) -> onnx.ModelProto:
    """Convert a network to `batch` windows.

    Args:
        graph: `image` `(1, C, *input_shape)` -> `logits` `(1, K, *output_shape)`.
        batch: number of windows per call.

    Returns:
        A checked graph, `(batch, C, *input_shape)` -> `(batch, K, *output_shape)`.

    Raises:
        SegError: if a Reshape mixes windows, as that of Winograd does.
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
            problem = f"{node.op_type} {node.name} has the shape of one window ({sizes.tolist()})"
            raise SegError(
                problem, "a graph that keeps windows separate", "leave out --batch, or --optimize and --tune"
            )
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
    """Fill at least one batch of windows with shifted copies of the samples, so that no two in a batch are equal."""
    turns = range(-(-max(batch, len(samples)) // len(samples)))
    shifted = [np.roll(window, 7 * turn, axis=-1) for turn in turns for window in samples]
    return shifted[: max(batch, len(samples))]
