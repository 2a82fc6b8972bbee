"""The step that rewrites a graph."""

from __future__ import annotations

from ..step import State, Step
from .apply import default_table, layers_of, rewritten
from .timing import fastest


class Rewrite(Step):
    """Rewrite each layer into the form of the default table, or into the fastest form on this machine."""

    def apply(self, state: State) -> None:
        """Change the graph, and store its forms in the provenance. The next step compares it with PyTorch."""
        options, graph = state.request.options, state.graph
        if options.tune and options.precision == "fp32":
            best = fastest(graph, lambda done, total: state.progress("measuring forms", done, total))
            state.request.watching.report(best.table(), state.contract)
            state.change(best.graph, state.contract)
            state.note(provenance=best.provenance())
            return
        forms = default_table(layers_of(graph), options.precision)
        state.change(rewritten(graph, forms), state.contract)
        state.note(provenance={"rewritten": forms})
