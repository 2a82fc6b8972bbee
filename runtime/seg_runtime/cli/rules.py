"""Which options of `seg-run` and `seg-edge self-test` fit the model and the provider, checked once the model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..engine import PROVIDERS
from ..support import Rule
from .arguments import ModelOptions, RunOptions

if TYPE_CHECKING:
    from ..engine import Session


class Loaded(NamedTuple):
    """The options of a command, and the model that was opened for it."""

    options: ModelOptions
    session: Session

    @property
    def probabilities(self) -> bool:
        """Whether probabilities are wanted, which only `seg-run` writes."""
        return isinstance(self.options, RunOptions) and bool(self.options.probabilities)


def _taken(option: str, advice: str) -> Rule[Loaded]:
    """An option that only some providers take: a note on the others."""
    name = option.removeprefix("--").replace("-", "_")
    return Rule(
        option,
        given=lambda x: option in x.options.written,
        fits=lambda x: name in x.session.provider.takes,
        needs="--provider " + " or ".join(kind.name for kind in PROVIDERS.own.values() if name in kind.takes),
        advice=advice,
        harmless=True,
    )


MODEL_RULES: Sequence[Rule[Loaded]] = (
    Rule(
        "--probabilities",
        given=lambda x: x.probabilities,
        fits=lambda x: x.session.contract.answer.activation != "none",
        needs="a model of classes",
        advice="leave it out; values are always written",
    ),
    Rule(
        "--probabilities",
        given=lambda x: x.probabilities,
        fits=lambda x: x.session.has_probabilities or not x.session.contract.file.whole_images,
        needs="a host-ready file with probabilities",
        advice="export it with --host-ready --host-probabilities",
    ),
    _taken("--cuda-graph", "only CUDA records one"),
    Rule(
        "--cuda-graph",
        given=lambda x: x.options.cuda_graph and "cuda_graph" in x.session.provider.takes,
        fits=lambda x: not x.session.contract.file.whole_images,
        needs="a file that takes windows",
        advice="a host-ready file takes images of any size",
        harmless=True,
    ),
    Rule(
        "--cuda-graph",
        given=lambda x: (
            x.options.cuda_graph
            and "cuda_graph" in x.session.provider.takes
            and not x.session.contract.file.whole_images
        ),
        fits=lambda x: x.session.cuda_graph,
        needs="kernels that can be recorded",
        advice="this model's kernels cannot be recorded",
        harmless=True,
    ),
    _taken("--prefer-nhwc", "it changes CUDA alone"),
    _taken("--fast-math", "only NVIDIA's GPUs have TF32"),
    _taken("--shrink-memory", "this provider has its own memory"),
    _taken("--cache", "this provider optimises the model again at each start"),
    Rule(
        "--cache",
        given=lambda x: "--cache" in x.options.written and "cache" in x.session.provider.takes,
        fits=lambda x: x.options.require_signature is None,
        needs="a model without --require-signature",
        advice="only the bytes that were signed are opened",
        harmless=True,
    ),
)
