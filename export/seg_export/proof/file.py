"""Graphs as files: opened as a device opens them, and tested as the very bytes that will be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from seg_runtime import Array, Contract, Float, ParityError, Segmenter
from seg_runtime.engine.session import Session

if TYPE_CHECKING:
    import onnx


def opened(graph: onnx.ModelProto, contract: Contract, threads: int | None = None) -> Session:
    """A session on the CPU of the file that a graph becomes."""
    from ..graph import stamped  # needs onnx, without which this folder can be imported

    return Session(stamped(graph, contract), "cpu", threads)


def logits_of(session: Session, samples: Sequence[Array]) -> Iterator[Float]:
    """What a file answers to each sample, `(K, *spatial)` float32.

    Args:
        session: of the file.
        samples: windows `(1, C, *input_shape)`, which go in in groups as large as the file takes; of a host-ready file
            images `(H, W, C)` of one window each, to which it gives every 16th logit.
    """
    if session.contract.file.kind == "host-ready":
        yield from (session.run_probe(image)[1] for image in samples)
        return
    batch = session.contract.file.batch
    for first in range(0, len(samples), batch):
        yield from session.run(np.concatenate(samples[first : first + batch]))


def prove_file(
    content: bytes, sample: Array, logits: Float, threads: int | None = None, golden: bool = True
) -> Mapping[str, Any] | None:
    """Test the bytes that will be written, as a device will.

    Args:
        content: of the file.
        sample: see `logits_of`.
        logits: what the graph that was compared answers to it; its stamp must not have changed it.
        threads: of the inference; None takes all that this process may use.
        golden: whether the file has golden samples.

    Returns:
        The report of the self-test; None without golden samples.

    Raises:
        SelfTestError: the file does not answer its golden samples as stored.
        ParityError: it gives other logits than the graph that was compared.
    """
    with Segmenter(content, "cpu", threads, self_test=golden) as final:
        [answer] = logits_of(final.session, [sample])
        if not np.array_equal(logits, answer):
            came = "the stamped file answers otherwise than the compared one"
            raise ParityError(came, "the same bits", "report this")
        return final.test_report
