"""What a step of an export is, and what the steps work on."""

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
    """What is asked of an export, and all that is known before its work begins.

    Attributes:
        options: of the user.
        contract: of the checkpoint, for the window that was asked for.
        images: real ones to compare on; none takes generated ones.
        golden: real ones of which crops go into the file.
        calibration: real ones that a precision is fitted to.
        watching: who is told what the export does.
    """

    options: ExportOptions
    contract: Contract
    images: Sequence[Picture] = ()
    golden: Sequence[Picture] = ()
    calibration: Sequence[Picture] = ()
    watching: Watching = field(default_factory=Watching)


class State:
    """An export between two steps: a graph, what is known of it, and what it is compared by.

    Attributes:
        request: what was asked for.
        graph: as the steps so far left it.
        contract: of the file that it becomes.
        samples: what the file takes, to compare it on: windows `(1, C, *input_shape)`, or images of one window each.
        reference: the model that answers the golden samples, window -> logits: torch, unless a step has a better one.
        tolerance: of the self-test.
    """

    def __init__(
        self, request: Request, graph: onnx.ModelProto, contract: Contract, samples: Sequence[Array], reference: Infer
    ) -> None:
        self.request, self.graph, self.contract = request, graph, contract
        self.samples, self.reference, self.tolerance = samples, reference, Tolerance()
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The file that the graph becomes, opened on the CPU."""
        if self._session is None:
            self._session = opened(self.graph, self.contract)
        return self._session

    def change(self, graph: onnx.ModelProto, contract: Contract) -> None:
        """Take another graph and its contract; whoever still needs the session of the one before keeps it."""
        self.graph, self.contract, self._session = graph, contract, None

    def note(self, *, parity: Mapping[str, Any] | None = None, provenance: Mapping[str, Any] | None = None) -> None:
        """Add figures or facts to the contract, which change no answer."""
        old = self.contract
        self.contract = replace(
            old, parity={**old.parity, **(parity or {})}, provenance={**old.provenance, **(provenance or {})}
        )

    def progress(self, what: str, done: int, total: int) -> None:
        """Tell whoever watches how many are done of what is being done."""
        self.request.watching.progress(what, done, total)

    def prove(self, before: Session, name: str, form: str, fix: str) -> None:
        """Refuse a graph that answers otherwise than the one before a step, and keep the figures.

        Args:
            before: session of the graph before.
            name: of the step.
            form: what the graph is now, for errors.
            fix: what an error advises.

        Raises:
            ParityError: their logits differ by more than an export may.
        """
        answers = logits_of(before, self.samples), logits_of(self.session, self.samples)
        total = len(self.samples)
        result = compare(*answers, self.contract, lambda done: self.progress(f"comparing {name}", done, total))
        self.note(parity={name: result.brief()})
        if result.failures():
            self.request.watching.report(result.table(form, "the graph before"), self.contract)
        result.require(form, "the graph before", fix)


class Step(ABC):
    """One step of an export. Another package adds one by an entry point of the group `seg_edge.export_steps`.

    It is made without arguments. All steps check before the first one works.
    """

    def check(self, request: Request) -> None:  # noqa: B027 - `rules` says what our own steps need
        """Refuse what the step cannot do, by all that is known before the work.

        Raises:
            SegError: says what does not fit and what to do.
        """

    @abstractmethod
    def apply(self, state: State) -> None:
        """Do it: change the graph by `State.change`, or what else is known of it.

        Raises:
            ParityError: what came out is not what it should be; nothing is written.
        """
