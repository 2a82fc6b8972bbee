"""The step that rewrites a graph, from the options."""

from __future__ import annotations

from ..step import State, Step
from .apply import default_table, layers_of, rewritten
from .timing import fastest


class Rewrite(Step):
    """Give each layer the form that the default table names, or the one that is fastest on this machine."""

    def apply(self, state: State) -> None:
        """Change the graph, and note its forms in the provenance; the proof against torch comes after."""
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
