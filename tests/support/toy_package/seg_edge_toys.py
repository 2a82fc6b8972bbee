"""A package that adds one thing of each kind to seg-edge: it is found by its entry points alone, see `test_extension.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper, numpy_helper
from scipy import ndimage
from seg_export.steps import Request, State, Step
from seg_runtime.answers import Labels
from seg_runtime.engine.providers import Cpu
from seg_runtime.formats import Format, Output, Page, PageResult, Prepared, ReadOptions, Source, Write
from seg_runtime.model import LabelSpec
from seg_runtime.outputs import ObjectFile
from seg_runtime.pipeline import Array
from seg_runtime.support import SegError
from seg_toolkit.training.objectives import LabelObjective


class TextGrid(Format):
    """Grey pictures as text: the line GRID, then the grey values of a row in each line."""

    title = "a text grid"
    suffixes = (".grid",)

    def recognises(self, head: bytes) -> bool:
        return head.startswith(b"GRID\n")

    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        rows = [[int(value) for value in line.split()] for line in data.decode("ascii").splitlines()[1:]]
        yield Page(np.array(rows, np.uint8)[..., None], name)

    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        return {"grid": Output("mask", (".grid",), _prepare_grid)} if data == "labels" else {}


def as_text(values: Array) -> bytes:
    """The content of a file."""
    return "\n".join(["GRID", *(" ".join(map(str, row)) for row in values.tolist())]).encode()


def _prepare_grid(results: Sequence[PageResult], source: Source) -> tuple[str, Write]:
    [result] = results
    return ".grid", lambda file: file.write(as_text(result.answer))


text_grid = TextGrid()


@dataclass(frozen=True)
class LargestSpec(LabelSpec):
    """Labels of the largest object alone."""

    kind = "largest"
    forms = ("window",)
    precisions = ("fp32",)


class Largest(Labels):
    """Labels, of which only the largest object of the whole image is kept; how large it is goes into a file of its own."""

    Spec = LargestSpec

    def whole(self, stitched: Array) -> Array:
        parts, count = ndimage.label(stitched > 0)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        return np.where(parts == 1 + sizes[1:].argmax(), stitched, np.uint8(0)) if count else stitched

    def record(self, answer: Array) -> dict[str, Any]:
        return {**super().record(answer), "largest": {"pixels": int(np.count_nonzero(answer))}}

    def outputs(self, source: Source, form: str = "") -> Sequence[Output]:
        return [*super().outputs(source, form), Output("size", (".txt",), _prepare_size)]


def _prepare_size(results: Sequence[PageResult], source: Source) -> tuple[str, Write]:
    text = "\n".join(str(result.record["largest"]["pixels"]) for result in results)
    return ".txt", lambda file: file.write(text.encode())


class CountFile(ObjectFile):
    """The number of objects of each page."""

    title = "a file of counts"
    key = "count"
    suffix = ".txt"

    def prepare(self, results: Sequence[PageResult], source: Source) -> Prepared:
        text = " ".join(str(int(result.objects.max())) for result in results)
        return Prepared(self.suffix, lambda file: file.write(text.encode()))


count_file = CountFile()


class LargestObjective(LabelObjective):
    """It learns labels; the largest object is chosen afterwards."""

    Spec = LargestSpec


class Counted(Cpu):
    """The CPU, which adds a line to the file $SEG_TOY_LOG for each session."""

    name = "counted"
    label = "the counted CPU"

    def session_options(self, ort: Any) -> Any:
        with Path(os.environ["SEG_TOY_LOG"]).open("a") as file:
            file.write("a session\n")
        return super().session_options(ort)


class Scaled(Step):
    """Multiply the logits by a number, which is 1 here."""

    factor = 1.0

    def check(self, request: Request) -> None:
        if request.options.batch > 1:
            raise SegError("--batch and --step scaled", "one window at a time", "leave out --batch")

    def apply(self, state: State) -> None:
        graph = state.graph.graph
        last = next(node for node in graph.node if "logits" in node.output)
        last.output[list(last.output).index("logits")] = "unscaled"
        graph.initializer.append(numpy_helper.from_array(np.array(self.factor, np.float32), "toy factor"))
        graph.node.append(helper.make_node("Mul", ["unscaled", "toy factor"], ["logits"], name="toy"))
        state.note(provenance={"toy_factor": self.factor})


class Spoiling(Scaled):
    """The same with another number, which spoils the answers."""

    factor = 1.1
