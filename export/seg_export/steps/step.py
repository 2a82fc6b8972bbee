"""Interface of the steps of an export, and the state that they change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import onnx
from seg_runtime import Array, Contract, Infer, Session

from ..options import ExportOptions, Watching
from ..proof import Picture, Tolerance, compare, logits_of, opened


@dataclass(frozen=True)
class Request:
    """Inputs of an export that are known before its work begins.

    Attributes:
        options: options of the user.
        contract: contract of the checkpoint, with the requested window.
        images: real images to compare on; empty for generated ones.
        golden: real images whose crops are stored in the file.
        calibration: real images that a precision is fitted to.
        watching: callbacks.
    """

    options: ExportOptions
    contract: Contract
    images: Sequence[Picture] = ()
    golden: Sequence[Picture] = ()
    calibration: Sequence[Picture] = ()
    watching: Watching = field(default_factory=Watching)


class State:
    """State of an export between two steps.

    Attributes:
        request: inputs of the export.
        graph: current graph.
        contract: contract of the file.
        samples: inputs for comparisons: windows `(1, C, *input_shape)`, or images of one window each.
        reference: model for the golden samples, window -> logits: PyTorch, unless a step replaces it.
        tolerance: tolerance of the self-test.
        entries: metadata of the file besides the contract and the golden samples.
    """

    def __init__(
        self, request: Request, graph: onnx.ModelProto, contract: Contract, samples: Sequence[Array], reference: Infer
    ) -> None:
        self.request, self.graph, self.contract = request, graph, contract
        self.samples, self.reference, self.tolerance = samples, reference, Tolerance()
        self.entries: dict[str, str] = {}
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The file of the current graph, opened on the CPU."""
        if self._session is None:
            self._session = opened(self.graph, self.contract)
        return self._session

    def change(self, graph: onnx.ModelProto, contract: Contract) -> None:
        """Replace graph and contract. The session of the previous graph is released unless it is still referenced."""
        self.graph, self.contract, self._session = graph, contract, None

    def note(self, *, parity: Mapping[str, Any] | None = None, provenance: Mapping[str, Any] | None = None) -> None:
        """Add figures or facts to the contract that do not affect results."""
        old = self.contract
        self.contract = replace(
            old, parity={**old.parity, **(parity or {})}, provenance={**old.provenance, **(provenance or {})}
        )

    def progress(self, what: str, done: int, total: int) -> None:
        """Report progress."""
        self.request.watching.progress(what, done, total)

    def prove(self, before: Session, name: str, form: str, advice: str) -> None:
        """Compare the graph with the graph before a step, and store the figures.

        Args:
            before: session of the previous graph.
            name: name of the step.
            form: description of the current graph, for errors.
            advice: advice of the error.

        Raises:
            ParityError: if their logits differ by more than the limits.
        """
        answers = logits_of(before, self.samples), logits_of(self.session, self.samples)
        total = len(self.samples)
        result = compare(*answers, self.contract, lambda done: self.progress(f"comparing {name}", done, total))
        self.note(parity={name: result.brief()})
        if result.failures():
            self.request.watching.report(result.table(form, "the graph before"), self.contract)
        result.require(form, "the graph before", advice)


class Step(ABC):
    """One step of an export. Other packages add one with an entry point of the group `seg_edge.export_steps`.

    It is created without arguments. All steps are checked before the first one is applied.
    """

    def check(self, request: Request) -> None:  # noqa: B027 - most steps are checked by `rules`
        """Check that the step fits the request.

        Raises:
            SegError: if it does not.
        """

    @abstractmethod
    def apply(self, state: State) -> None:
        """Apply the step: change the graph with `State.change`, or other parts of the state.

        Raises:
            ParityError: if the result is wrong; nothing is written.
        """
