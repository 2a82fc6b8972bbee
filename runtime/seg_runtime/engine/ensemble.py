"""Several files of one model, exported with different window sizes or batches. Each image runs on the one with the
lowest cost.

A larger window has less overhead: with a margin of 92 px, the input has 2.2 times as many pixels as an output of 388
px, but only 1.45 times as many as one of 900 px. A small image, however, would fill most of a large window with its own
reflection. How the time grows with the window size depends on the network and the machine. The figure used here was
measured at width 64; for a narrower network, larger windows may be better than it predicts. To measure instead, see
`Ensemble.warm_up`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..model import Contract, ModelFile, to_json_value
from ..pipeline import Grid
from ..support import ModelError
from .options import RunOptions
from .session import Session

Model = str | Path | bytes | ModelFile
GROWTH = 1.17
"""Assumed cost of a window without measurements: its number of pixels to this power. On 2 cores at width 64, 1084² took
4.5 times as long as 572², not 3.6, and 1596² 10.7 times, not 7.8. At widths 32, 16 and 8, the powers for 1084² are
1.15, 1.13 and 0.92."""
OWN = ("geometry.input_shape", "geometry.output_shape", "file.batch")  # files of one model may differ in these


@dataclass
class _Member:
    """One file, opened when an image first needs it."""

    model: Model
    contract: Contract
    sha256: str
    session: Session | None = None
    ms: list[float] = field(default_factory=list)
    """Time per call, one figure per image."""

    def calls(self, shape: tuple[int, ...]) -> int:
        """Return the number of calls for an image of `shape` px."""
        return math.ceil(len(Grid.of(shape, self.contract.geometry).origins()) / self.contract.file.batch)

    def cost(self, shape: tuple[int, ...], ms: Callable[[_Member], float]) -> float:
        """Return the cost of an image of `shape` px: the number of calls times the cost of a call, with a full batch or
        not."""
        return self.calls(shape) * ms(self)


class Ensemble:
    """The files of one model. The first file is always open."""

    def __init__(
        self, models: Sequence[Model], options: RunOptions, check: Callable[[Session], None] = lambda session: None
    ) -> None:
        """Open the first file and read the contracts of the others.

        Args:
            models: one or more files.
            options: options of all files.
            check: called with each session that is opened; may raise an error.

        Raises:
            ModelError: the files belong to different models, or one is not as required.
        """
        if not models:
            raise ModelError("no model is given", "one or more files", "pass a file made by seg-export")
        self._options, self._check, self._lock = options, check, threading.Lock()
        first = self._open(models[0])
        self.members = [_Member(models[0], first.contract, first.sha256, first)]
        for model in models[1:]:
            content = (model if isinstance(model, ModelFile) else ModelFile(model)).take(options.require)
            check_same(first.contract, content.contract, content.name)
            again = content.path if content.path is not None else content.data
            self.members.append(_Member(again, content.contract, content.sha256))

    def _open(self, model: Model) -> Session:
        session = Session(model, self._options)
        self._check(session)
        return session

    def session_for(self, shape: tuple[int, ...]) -> Session:
        """Return the session with the lowest cost for an image of `shape` px.

        Raises:
            ModelError: the file has changed since its contract was read.
        """
        with self._lock:
            return self._opened(self.choose(shape))

    def warm_up(self) -> None:
        """Run every file on zeros. If there are several, this opens all of them and measures their times for the
        choice."""
        with self._lock:
            for member in self.members:
                session = self._opened(member)
                session.warm_up()
                if len(self.members) > 1:
                    for _ in range(2):
                        start = time.perf_counter()
                        session.warm_up()
                        member.ms.append((time.perf_counter() - start) * 1000)

    def _opened(self, member: _Member) -> Session:
        if member.session is None:
            session = self._open(member.model)
            if session.sha256 != member.sha256:
                name = member.model if isinstance(member.model, (str, Path)) else "the model"
                raise ModelError(f"{name} changed during the run", "", "run it again")
            member.session = session
        return member.session

    def choose(self, shape: tuple[int, ...]) -> _Member:
        """Return the file for an image of `shape` px: the cheapest one for geometry `tile`, else the first one.

        The cost of a call is its measured time, if every file has been measured twice. Otherwise it is the number of
        windows times a power of the number of input pixels of a window.
        """
        if len(self.members) == 1 or self.members[0].contract.geometry.method != "tile":
            return self.members[0]
        measured = all(len(member.ms) > 1 for member in self.members)

        def ms(member: _Member) -> float:
            c = member.contract
            return min(member.ms) if measured else c.file.batch * math.prod(c.geometry.input_shape) ** GROWTH

        return min(self.members, key=lambda member: member.cost(shape, ms))

    def measured(self, session: Session, shape: tuple[int, ...], ms: float) -> None:
        """Store the milliseconds of inference that a session took for an image of `shape` px."""
        with self._lock:
            for member in self.members:
                if member.session is session:
                    member.ms = [*member.ms[-8:], ms / member.calls(shape)]


def check_same(first: Contract, other: Contract, name: str) -> None:
    """Check that a file belongs to the same model as the first one, apart from the window size and the batch.

    Raises:
        ModelError: it does not; the error names the first difference.
    """
    advice = "pass files exported from one checkpoint that differ only in --input-size or --batch"
    ours, theirs = _facts(first), _facts(other)
    mine, given = (c.provenance.get("weights_sha256") for c in (first, other))
    differ: list[tuple[str, Any, Any]] = [
        (f, ours.get(f), theirs.get(f)) for f in {**ours, **theirs} if ours.get(f) != theirs.get(f)
    ]
    if mine != given or not mine:
        differ.insert(0, ("weights_sha256", mine, given))
    if first.file.whole_images and not differ:
        differ.append(("form", first.file.kind, "window"))
    if first.geometry.margin != other.geometry.margin:
        differ.append(("margin", first.geometry.margin, other.geometry.margin))
    if isinstance(network := first.provenance.get("network"), Mapping) and network.get("skip", "crop") != "crop":
        problem = f"a network with --skip {network['skip']} gives different results in windows of another size"
        raise ModelError(problem, "one file", "leave out the other files")
    if differ:
        field_name, mine, given = differ[0]
        raise ModelError(f"{name} belongs to another model: its {field_name} is {given!r}", f"{mine!r}", advice)


def _facts(contract: Contract) -> dict[str, Any]:
    """Return the facts that files of one model share, by name, such as `geometry.stride` and `answer.classes`."""
    parts = {name: getattr(contract, name) for name in ("input", "geometry", "answer", "file")}
    facts = {f"{name}.{key}": value for name, part in parts.items() for key, value in to_json_value(part).items()}
    return {name: value for name, value in facts.items() if name not in OWN}
