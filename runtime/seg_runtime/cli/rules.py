"""Rules about the options of `seg-run` and `seg-edge self-test`, checked once the model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..engine import PROVIDERS
from ..support import Rule
from .arguments import ModelOptions, RunOptions

if TYPE_CHECKING:
    from ..engine import Session


class Loaded(NamedTuple):
    """The options of a command and the session of its model."""

    options: ModelOptions
    session: Session

    @property
    def probabilities(self) -> bool:
        """Whether probabilities are requested; only `seg-run` writes them."""
        return isinstance(self.options, RunOptions) and bool(self.options.probabilities)


def _taken(option: str, advice: str) -> Rule[Loaded]:
    """Return the rule of an option that only some providers use; the others ignore it with a note."""
    name = option.removeprefix("--").replace("-", "_")
    return Rule(
        option,
        given=lambda x: option in x.options.written,
        fits=lambda x: name in x.session.provider.takes,
        requires="--provider " + " or ".join(kind.name for kind in PROVIDERS.own.values() if name in kind.takes),
        advice=advice,
        harmless=True,
    )


def _of_objects(option: str) -> Rule[Loaded]:
    """Return the rule of an option that needs objects."""
    name = option.removeprefix("--")
    return Rule(
        option,
        given=lambda x: bool(getattr(x.options, name, False)),
        fits=lambda x: bool(x.session.contract.classes),
        requires="a model that predicts classes or objects",
        advice="leave it out: this model predicts values",
    )


def _writes_probabilities(loaded: Loaded) -> bool:
    """Return whether a format of the model's inputs supports the form of the probabilities."""
    from ..formats import FORMATS  # numpy and Pillow are imported while the model is read

    assert isinstance(loaded.options, RunOptions)
    taken = FORMATS.of_model(loaded.session.contract)
    return any(loaded.options.probabilities in form.probabilities() for form in taken)


MODEL_RULES: Sequence[Rule[Loaded]] = (
    Rule(
        "--probabilities",
        given=lambda x: x.probabilities,
        fits=lambda x: x.session.contract.answer.activation != "none",
        requires="a segmentation model",
        advice="leave it out: this model has no probabilities, and always writes its values or objects",
    ),
    Rule(
        "--probabilities",
        given=lambda x: x.probabilities,
        fits=lambda x: x.session.has_probabilities or not x.session.contract.file.whole_images,
        requires="a host-ready model with a probability output",
        advice="export the model again with --host-ready --host-probabilities",
    ),
    Rule(
        "--probabilities",
        given=lambda x: x.probabilities,
        fits=_writes_probabilities,
        requires="npy, or tiff for a model of images, or map for a model of molecular structures",
        advice="choose one of these",
    ),
    _of_objects("--objects"),
    _of_objects("--measure"),
    _of_objects("--save"),
    Rule(
        "--smallest-object",
        given=lambda x: isinstance(x.options, RunOptions) and x.options.smallest_object > 0,
        fits=lambda x: (
            x.session.contract.answer.separated or (isinstance(x.options, RunOptions) and x.options.numbers_objects)
        ),
        requires="--objects, --measure, --save or --report",
        advice="objects are numbered only with --objects, --measure, --save or --report",
        harmless=True,
    ),
    Rule(
        "--smallest-object",
        given=lambda x: isinstance(x.options, RunOptions) and x.options.smallest_object > 0,
        fits=lambda x: not x.session.contract.answer.separated,
        requires="a model that does not separate objects itself",
        advice="this model has a smallest object of its own",
        harmless=True,
    ),
    _taken("--cuda-graph", "only CUDA can record graphs"),
    Rule(
        "--cuda-graph",
        given=lambda x: x.options.cuda_graph and "cuda_graph" in x.session.provider.takes,
        fits=lambda x: not x.session.contract.file.whole_images,
        requires="a model exported without --host-ready",
        advice="a host-ready model takes images of any size",
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
        requires="kernels that can be recorded",
        advice="the kernels of this model cannot be recorded",
        harmless=True,
    ),
    _taken("--prefer-nhwc", "only CUDA has this option"),
    _taken("--fast-math", "only NVIDIA GPUs support TF32"),
    _taken("--shrink-memory", "this provider manages its own memory"),
    _taken("--cache", "this provider optimizes the model again at each start"),
    Rule(
        "--cache",
        given=lambda x: "--cache" in x.options.written and "cache" in x.session.provider.takes,
        fits=lambda x: not x.session.trust.exact,
        requires="a model of which neither a signature nor a SHA-256 is required",
        advice="only the bytes that were checked are loaded",
        harmless=True,
    ),
)
