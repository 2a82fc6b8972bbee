"""Registries: our own things by name, then those that installed packages offer as entry points.

A package outside of this repository adds, for example, a file format by an entry point of its own:

    [project.entry-points."seg_edge.formats"]
    toy = "toy_format:ToyFormat"

Entry points are looked up only for a name that is not ours, or where all are asked for: reading them costs a start 15 ms.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from .errors import SegError

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind, by name.

    >>> Registry("seg_edge.numbers", "number", {"one": 1}).get("one")
    1
    """

    def __init__(self, group: str, what: str, own: Mapping[str, T]) -> None:
        """Set it up.

        Args:
            group: of the entry points, `seg_edge.formats` for example.
            what: one of these things in an error, "format" for example.
            own: our own things, which come first.
        """
        self.group, self.what, self.own = group, what, dict(own)
        self._loaded: dict[str, T] = {}
        self._broken: dict[str, SegError] = {}

    @cached_property
    def _offered(self) -> dict[str, Any]:
        from importlib.metadata import entry_points  # 15 ms

        return {point.name: point for point in entry_points(group=self.group) if point.name not in self.own}

    def names(self) -> list[str]:
        """All names, ours first."""
        return [*self.own, *sorted(self._offered)]

    def __contains__(self, name: str) -> bool:
        """Whether a thing of this name is known."""
        return name in self.own or name in self._offered

    def get(self, name: str, fix: str = "") -> T:
        """The thing of a name.

        Args:
            name: of `names`.
            fix: what an error advises; empty to advise another name, or to repair the package that offers it.

        Raises:
            SegError: nothing has this name, or the package that offers it cannot be loaded.
        """
        if name in self.own:
            return self.own[name]
        if name not in self._offered:
            from difflib import get_close_matches  # 20 ms, for the unlucky only

            near = get_close_matches(name, self.names(), 1)
            fix = f"did you mean {near[0]}?" if near else fix or "choose one of them"
            raise SegError(f"unknown {self.what} {name!r}", ", ".join(self.names()), fix)
        if name in self._broken:
            raise self._broken[name]
        if name not in self._loaded:
            try:
                self._loaded[name] = self._offered[name].load()
            except Exception as error:  # whatever that package does when it is imported
                offered = self._offered[name].value
                problem = f"the {self.what} {name!r} cannot be loaded from {offered} ({error})"
                repair = fix or "install what it needs, or uninstall the package that offers it"
                self._broken[name] = SegError(problem, "", repair)
                raise self._broken[name] from error
        return self._loaded[name]

    def all(self) -> Iterator[T]:
        """All things, ours first; those of other packages are loaded when their turn comes, and left out if they cannot be.

        What is broken in one package must not end work that has no need of it; `broken` tells it.
        """
        yield from self.own.values()
        for name in sorted(self._offered):
            with contextlib.suppress(SegError):
                yield self.get(name)

    def broken(self) -> list[SegError]:
        """Why things of other packages cannot be loaded."""
        errors = []
        for name in sorted(self._offered):
            try:
                self.get(name)
            except SegError as error:
                errors.append(error)
        return errors
