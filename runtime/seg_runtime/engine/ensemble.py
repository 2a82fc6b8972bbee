"""Several files of one model, exported for windows of different sizes or in batches: each image goes to the one that costs it least.

A larger window shares its margin among more output: 92 px of ring on 388 px of output cost 2.2 times the network's work on
those pixels, on 900 px 1.45 times. A small image, though, would fill a large window with its own reflection. By how much a
window's time grows with it depends on the network and the machine; the figure used here is that of width 64, and a narrow
network may be better off with larger windows than it says. Measuring tells, see `Ensemble.warm_up`.
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
"""Power of its pixels that a window costs where nothing was measured: on 2 cores at width 64, 1084² took 4.5 times as long
as 572², not 3.6, and 1596² 10.7 times, not 7.8. At widths 32, 16 and 8 the powers of 1084² are 1.15, 1.13 and 0.92."""
OWN = ("geometry.input_shape", "geometry.output_shape", "file.batch")  # what files of one model may differ in


@dataclass
class _Member:
    """One file, opened when an image needs it first."""

    model: Model
    contract: Contract
    sha256: str
    session: Session | None = None
    ms: list[float] = field(default_factory=list)
    """A call, one figure for each image that it answered."""

    def calls(self, shape: tuple[int, ...]) -> int:
        """How often the file is run for an image of `shape` px."""
        return math.ceil(len(Grid.of(shape, self.contract.geometry).origins()) / self.contract.file.batch)

    def cost(self, shape: tuple[int, ...], ms: Callable[[_Member], float]) -> float:
        """Of an image of `shape` px: calls times what one costs, be its batch full or not."""
        return self.calls(shape) * ms(self)


class Ensemble:
    """The files of one model, the first of them open."""

    def __init__(
        self, models: Sequence[Model], options: RunOptions, check: Callable[[Session], None] = lambda session: None
    ) -> None:
        """Open the first file and read the contracts of the others.

        Args:
            models: one or more files.
            options: of all of them.
            check: refuses a file that was just opened by an error.

        Raises:
            ModelError: the files are not of one model, or one is not signed as required.
        """
        if not models:
            raise ModelError("no model", "one file or more", "name one made by seg-export")
        self._options, self._check, self._lock = options, check, threading.Lock()
        first = self._open(models[0])
        self.members = [_Member(models[0], first.contract, first.sha256, first)]
        for model in models[1:]:
            content = (model if isinstance(model, ModelFile) else ModelFile(model)).take()
            if options.require_signature is not None:
                content.check_signed(options.require_signature)
            check_same(first.contract, content.contract, content.name)
            again = content.path if content.path is not None else content.data
            self.members.append(_Member(again, content.contract, content.sha256))

    def _open(self, model: Model) -> Session:
        session = Session(model, self._options)
        self._check(session)
        return session

    def session_for(self, shape: tuple[int, ...]) -> Session:
        """The session of the file that answers an image of `shape` px at the least cost.

        Raises:
            ModelError: it changed since it was looked at.
        """
        with self._lock:
            return self._opened(self.choose(shape))

    def warm_up(self) -> None:
        """Run every file on zeros; where there are several, which opens all, measure them for the choice."""
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
                raise ModelError(f"{name} changed since the start", "a file that stays", "run it again")
            member.session = session
        return member.session

    def choose(self, shape: tuple[int, ...]) -> _Member:
        """The file for an image of `shape` px: of geometry `tile` the cheapest one, else the first.

        A window costs a power of its input pixels and a batch as much as its windows do; or a call costs its measured
        milliseconds, where every file has been measured twice.
        """
        if len(self.members) == 1 or self.members[0].contract.geometry.method != "tile":
            return self.members[0]
        measured = all(len(member.ms) > 1 for member in self.members)

        def ms(member: _Member) -> float:
            c = member.contract
            return min(member.ms) if measured else c.file.batch * math.prod(c.geometry.input_shape) ** GROWTH

        return min(self.members, key=lambda member: member.cost(shape, ms))

    def measured(self, session: Session, shape: tuple[int, ...], ms: float) -> None:
        """Note the milliseconds of inference that a session took for an image of `shape` px."""
        with self._lock:
            for member in self.members:
                if member.session is session:
                    member.ms = [*member.ms[-8:], ms / member.calls(shape)]


def check_same(first: Contract, other: Contract, name: str) -> None:
    """Refuse a file that is not of the same model as the first one, window size apart.

    Raises:
        ModelError: it names the first difference.
    """
    fix = "name files that seg-export made of one checkpoint, of different --input-size or --batch only"
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
        problem = f"a network of --skip {network['skip']} answers otherwise in windows of another size"
        raise ModelError(problem, "one file", "leave the other files out")
    if differ:
        field_name, mine, given = differ[0]
        raise ModelError(f"{name} is not of the same model: its {field_name} is {given!r}", f"{mine!r}", fix)


def _facts(contract: Contract) -> dict[str, Any]:
    """All that files of one model share, by name: `geometry.stride`, `answer.classes` and so on."""
    parts = {name: getattr(contract, name) for name in ("input", "geometry", "answer", "file")}
    facts = {f"{name}.{key}": value for name, part in parts.items() for key, value in to_json_value(part).items()}
    return {name: value for name, value in facts.items() if name not in OWN}
