"""Graphs as files: opened as on a device, and tested as the bytes that will be written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from seg_runtime import Array, Contract, Float, ParityError, RunOptions, Segmenter, Session
from seg_runtime.model import ModelFile

if TYPE_CHECKING:
    import onnx


def opened(graph: onnx.ModelProto, contract: Contract, threads: int | None = None) -> Session:
    """Open the file of a graph on the CPU."""
    from ..graph import stamped  # needs onnx, but this package must be importable without it

    return Session(ModelFile.made(stamped(graph, contract)), RunOptions(provider="cpu", threads=threads))


def logits_of(session: Session, samples: Sequence[Array]) -> Iterator[Float]:
    """Compute the logits `(K, *spatial)` float32 of each sample.

    Args:
        session: session of the file.
        samples: windows `(1, C, *input_shape)`, which are batched as the file requires. For a host-ready file, images
            `(H, W, C)` of one window each, for which it returns every 16th logit.
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
    """Compute logits with the bytes of a file on this machine, opened as on a device.

    Args:
        content: content of the file.
        samples: see `logits_of`.
        threads: number of threads; None for all that this process may use.
        self_test: whether to run the self-test first.

    Returns:
        The logits of each sample, and the report of the self-test.

    Raises:
        SelfTestError: if the self-test fails.
    """
    with Segmenter(ModelFile.made(content), provider="cpu", threads=threads, self_test=self_test) as segmenter:
        return list(logits_of(segmenter.session, samples)), segmenter.test_report


def prove_file(
    content: bytes, sample: Array, logits: Float, threads: int | None = None, *, self_test: bool = True
) -> Mapping[str, Any] | None:
    """Test the bytes that will be written. Arguments, report and errors are those of `answers_of`, and:

    Args:
        logits: logits of the sample from the graph that was compared; stamping must not change them.

    Raises:
        ParityError: if the file gives other logits.
    """
    [answer], report = answers_of(content, [sample], threads, self_test=self_test)
    if not np.array_equal(logits, answer):
        problem = "the file to be written gives other logits than the graph that was compared"
        raise ParityError(problem, "the same bits", "report this as a bug")
    return report
