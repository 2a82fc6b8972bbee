"""Registries: our own things by name, then those that installed packages offer as entry points.

A package outside of this repository adds, for example, a file format by an entry point of its own:

    [project.entry-points."seg_edge.formats"]
    toy = "toy_format:ToyFormat"

Entry points are looked up only for a name that is not ours, or where all are asked for: reading them costs a start 15 ms.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar

from .errors import SegError

T = TypeVar("T")


Check = Callable[[str, Any], str]
"""Takes a name and what a package offers under it; returns what is wrong with it, empty if nothing is."""


def instance_of(base: type) -> Check:
    """Return a check that things are instances of a class."""
    return lambda name, thing: "" if isinstance(thing, base) else f"it is not an instance of {base.__name__}"


def subclass_of(base: type, own_name: Callable[[Any], str] | None = None) -> Check:
    """Return a check that things are complete subclasses of a class, and are offered under their own name."""

    def check(name: str, thing: Any) -> str:
        if not (isinstance(thing, type) and issubclass(thing, base)):
            return f"it is not a subclass of {base.__name__}"
        if missing := sorted(getattr(thing, "__abstractmethods__", ())):
            return f"it lacks {', '.join(missing)}"
        if own_name and own_name(thing) != name:
            return f"it calls itself {own_name(thing)!r}"
        return ""

    return check


class Registry(Generic[T]):
    """Things of one kind, by name.

    >>> Registry("seg_edge.numbers", "number", {"one": 1}).get("one")
    1
    """

    def __init__(self, group: str, what: str, own: Mapping[str, T], check: Check | None = None) -> None:
        """Set it up.

        Args:
            group: of the entry points, `seg_edge.formats` for example.
            what: one of these things in an error, "format" for example.
            own: our own things, which come first.
            check: what the things of other packages must be.
        """
        self.group, self.what, self.own, self._check = group, what, dict(own), check
        self._loaded: dict[str, T] = {}
        self._broken: dict[str, SegError] = {}

    @cached_property
    def _offered(self) -> dict[str, Any]:
        from importlib.metadata import entry_points  # 15 ms

        points = [point for point in entry_points(group=self.group) if point.name not in self.own]
        for name in {point.name for point in points}:
            if len(values := sorted({point.value for point in points if point.name == name})) > 1:
                problem = f"several packages offer the {self.what} {name!r} ({', '.join(values)})"
                self._broken[name] = SegError(problem, "one", "uninstall the others")
        return {point.name: point for point in points}

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
            offered = self._offered[name].value
            try:
                thing = self._offered[name].load()
                problem = self._check(name, thing) if self._check else ""
            except (Exception, SystemExit) as error:  # whatever that package does when it is imported
                problem = str(error) or type(error).__name__
            if problem:
                problem = f"the {self.what} {name!r} cannot be loaded from {offered} ({problem})"
                advice = "install what it needs, or uninstall the package that offers it"
                self._broken[name] = SegError(problem, "", advice)
                raise self._broken[name]
            self._loaded[name] = thing
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
