"""Graphs as files: opened as a device opens them, and tested as the very bytes that will be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from seg_runtime import Array, Contract, Float, ParityError, RunOptions, Segmenter, Session

if TYPE_CHECKING:
    import onnx


def opened(graph: onnx.ModelProto, contract: Contract, threads: int | None = None) -> Session:
    """A session on the CPU of the file that a graph becomes."""
    from ..graph import stamped  # needs onnx, without which this folder can be imported

    return Session(stamped(graph, contract), RunOptions(provider="cpu", threads=threads))


def logits_of(session: Session, samples: Sequence[Array]) -> Iterator[Float]:
    """What a file answers to each sample, `(K, *spatial)` float32.

    Args:
        session: of the file.
        samples: windows `(1, C, *input_shape)`, which go in in groups as large as the file takes; of a host-ready file
            images `(H, W, C)` of one window each, to which it gives every 16th logit.
    """
    if session.contract.file.whole_images:
        yield from (session.run_probe(image)[1] for image in samples)
        return
    batch = session.contract.file.batch
    for first in range(0, len(samples), batch):
        yield from session.run(np.concatenate(samples[first : first + batch]))


def answers_of(
    content: bytes, samples: Sequence[Array], threads: int | None = None, *, self_test: bool
) -> tuple[list[Float], Mapping[str, Any] | None]:
    """What the bytes of a file answer on this machine, opened as a device does.

    Args:
        content: of the file.
        samples: see `logits_of`.
        threads: of the inference; None takes all that this process may use.
        self_test: let it answer its golden samples first.

    Returns:
        The logits of each sample, and the report of the self-test.

    Raises:
        SelfTestError: the file does not answer its golden samples as stored.
    """
    with Segmenter(content, provider="cpu", threads=threads, self_test=self_test) as segmenter:
        return list(logits_of(segmenter.session, samples)), segmenter.test_report


def prove_file(
    content: bytes, sample: Array, logits: Float, threads: int | None = None, *, self_test: bool = True
) -> Mapping[str, Any] | None:
    """Test the bytes that will be written; arguments, returned report and errors are those of `answers_of`, and:

    Args:
        logits: what the graph that was compared answers to the sample; its stamp must not have changed it.

    Raises:
        ParityError: the file gives other logits.
    """
    [answer], report = answers_of(content, [sample], threads, self_test=self_test)
    if not np.array_equal(logits, answer):
        problem = "the stamped file answers otherwise than the compared one"
        raise ParityError(problem, "the same bits", "report this")
    return report
