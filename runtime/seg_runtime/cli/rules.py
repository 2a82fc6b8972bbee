"""Which options of seg-run fit together: one table for what is written, one for what depends on the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..engine import PROVIDERS, candidates
from ..support import Rule
from .arguments import IMAGES, MODES, SELF_TEST, TUNE, Arguments

if TYPE_CHECKING:
    from ..engine import Session


class Loaded(NamedTuple):
    """What somebody wrote, and the model as it was opened for that."""

    arguments: Arguments
    session: Session


def _used_by(option: str, *modes: str) -> Rule[Arguments]:
    """An option that only some modes use: a note elsewhere."""
    *first, last = (mode for mode in MODES if mode not in modes)
    others = f"{', '.join(first)} and {last} do" if first else f"{last} does"
    return Rule(
        option,
        given=lambda a: option in a.written,
        fits=lambda a: any(mode in modes for mode in a.modes),
        needs=" or ".join(modes),
        advice=f"{others} not use it",
        harmless=True,
    )


def _taken(option: str, advice: str) -> Rule[Loaded]:
    """An option that only some providers take: a note on the others."""
    name = option.removeprefix("--").replace("-", "_")
    return Rule(
        option,
        given=lambda x: option in x.arguments.written,
        fits=lambda x: name in x.session.provider.takes,
        needs="--provider " + " or ".join(kind.name for kind in PROVIDERS.own.values() if name in kind.takes),
        advice=advice,
        harmless=True,
    )


RULES: Sequence[Rule[Arguments]] = (
    Rule("seg-run", lambda a: True, lambda a: len(a.modes) == 1, f"one of {', '.join(MODES)}", "see --help"),
    Rule("--tune", lambda a: a.tune, lambda a: len(a.images + a.models) <= 1, "one model", "tune one file after the other"),
    Rule(
        "--tune",
        given=lambda a: a.tune,
        fits=lambda a: any(kind.tunable for kind in candidates(a.provider)),
        needs="--provider cpu",
        advice="leave --provider out, since it measures the processors",
    ),
    *(_used_by(option, IMAGES, SELF_TEST, TUNE) for option in ("--model", "--threads", "--require-signature")),
    *(_used_by(option, IMAGES, TUNE) for option in ("--out", "--overwrite")),
    *(_used_by(option, IMAGES, SELF_TEST)
      for option in ("--cache", "--shrink-memory", "--cuda-graph", "--prefer-nhwc", "--fast-math")),
    *(_used_by(option, IMAGES)
      for option in ("--recursive", "--overlay", "--probabilities", "--dicom-seg", "--jobs", "--max-pixels", "--tta", "--warm-up")),
)  # fmt: skip
"""Of what is written, checked before anything is read."""

MODEL_RULES: Sequence[Rule[Loaded]] = (
    Rule(
        "--probabilities",
        given=lambda x: bool(x.arguments.probabilities and x.arguments.images),
        fits=lambda x: x.session.contract.answer.activation != "none",
        needs="a model of classes",
        advice="leave it out; values are always written",
    ),
    Rule(
        "--probabilities",
        given=lambda x: bool(x.arguments.probabilities and x.arguments.images),
        fits=lambda x: x.session.has_probabilities or not x.session.contract.file.whole_images,
        needs="a host-ready file with probabilities",
        advice="export it with --host-ready --host-probabilities",
    ),
    _taken("--cuda-graph", "only CUDA records one"),
    Rule(
        "--cuda-graph",
        given=lambda x: x.arguments.cuda_graph and "cuda_graph" in x.session.provider.takes,
        fits=lambda x: not x.session.contract.file.whole_images,
        needs="a file that takes windows",
        advice="a host-ready file takes images of any size",
        harmless=True,
    ),
    Rule(
        "--cuda-graph",
        given=lambda x: (
            x.arguments.cuda_graph
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
        given=lambda x: "--cache" in x.arguments.written and "cache" in x.session.provider.takes,
        fits=lambda x: x.arguments.require_signature is None,
        needs="a model without --require-signature",
        advice="only the bytes that were signed are opened",
        harmless=True,
    ),
)
"""Of what depends on the model and its provider, checked once it is loaded."""
