"""Steps that prove the results of other steps."""

from __future__ import annotations

from seg_runtime import ParityError

from ..proof import compare, logits_of
from .step import Request, State, Step


class TorchParity(Step):
    """Compare the graph with the PyTorch model."""

    def apply(self, state: State) -> None:
        """Compare, and store the figures.

        Raises:
            ParityError: if they differ by more than the limits.
        """
        samples, images = state.samples, "real" if state.request.images else "generated"
        torch = (state.reference(window)[0] for window in samples)
        total = len(samples)
        parity = compare(
            torch, logits_of(state.session, samples), state.contract,
            lambda done: state.progress("comparing windows", done, total),
        )  # fmt: skip
        state.note(parity={**parity.as_dict(), "images": images})
        state.request.watching.report(parity.table("ONNX fp32"), state.contract)
        parity.require("the ONNX model")


class Proven(Step):
    """A step of another package, whose result is compared with the graph before it.

    Attributes:
        name: name of the step.
        step: the step.
    """

    def __init__(self, name: str, step: Step) -> None:
        self.name, self.step = name, step

    def check(self, request: Request) -> None:
        """Run the check of the step."""
        self.step.check(request)

    def apply(self, state: State) -> None:
        """Apply the step, and compare."""
        before, contract = state.session, state.contract
        self.step.apply(state)
        for part in ("input", "geometry", "answer"):  # decide what the logits mean, so no logits would show the change
            if getattr(state.contract, part) != getattr(contract, part):
                problem = f"the step {self.name} changes the {part} of the contract"
                raise ParityError(
                    problem, "a step that changes the graph or the form of the file", f"leave out --step {self.name}"
                )
        state.change(state.graph, state.contract)  # the step may have changed the graph in place
        state.prove(before, self.name, f"the file after the step {self.name}", f"leave out --step {self.name}")
