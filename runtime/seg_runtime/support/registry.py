"""Registries of named objects: built-in ones, then those that installed packages provide as entry points.

Another package adds, for example, a file format with an entry point:

    [project.entry-points."seg_edge.formats"]
    toy = "toy_format:ToyFormat"

Entry points are read only for a name that is not built in, or to list all names, because reading them takes 15 ms.
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
    """Objects of one kind, by name.

    >>> Registry("seg_edge.numbers", "number", {"one": 1}).get("one")
    1
    """

    def __init__(self, group: str, what: str, own: Mapping[str, T], check: Check | None = None) -> None:
        """Create a registry.

        Args:
            group: group of the entry points, such as `seg_edge.formats`.
            what: what errors call an object, such as "format".
            own: built-in objects, which take precedence.
            check: what the objects of other packages must be; None accepts all.
        """
        self.group, self.what, self.own, self._check = group, what, dict(own), check
        self._loaded: dict[str, T] = {}
        self._broken: dict[str, SegError] = {}

    @cached_property
    def _offered(self) -> dict[str, Any]:
        from importlib.metadata import entry_points  # takes 15 ms

        points = [point for point in entry_points(group=self.group) if point.name not in self.own]
        for name in {point.name for point in points}:
            if len(values := sorted({point.value for point in points if point.name == name})) > 1:
                problem = f"several packages offer the {self.what} {name!r} ({', '.join(values)})"
                self._broken[name] = SegError(problem, "one", "uninstall the others")
        return {point.name: point for point in points}

    def names(self) -> list[str]:
        """Return all names, built-in ones first."""
        return [*self.own, *sorted(self._offered)]

    def __contains__(self, name: str) -> bool:
        """Return whether the name is known."""
        return name in self.own or name in self._offered

    def get(self, name: str, advice: str = "", error: type[SegError] = SegError) -> T:
        """Return the object with a name.

        Args:
            name: one of `names()`.
            advice: advice of the error; by default to choose another name, or to repair the package that provides it.
            error: class of the error for an unknown name, such as `OptionsError` if an option gives the name.

        Raises:
            SegError: the name is unknown, or the package that provides the object cannot be loaded.
        """
        if name in self.own:
            return self.own[name]
        if name not in self._offered:
            from difflib import get_close_matches  # takes 20 ms

            near = get_close_matches(name, self.names(), 1)
            advice = f"did you mean {near[0]}?" if near else advice or "choose one of these"
            raise error(f"unknown {self.what} {name!r}", ", ".join(self.names()), advice)
        if name in self._broken:
            raise self._broken[name]
        if name not in self._loaded:
            offered = self._offered[name].value
            try:
                thing = self._offered[name].load()
                problem = self._check(name, thing) if self._check else ""
            except (Exception, SystemExit) as error:  # importing another package can raise anything
                problem = str(error) or type(error).__name__
            if problem:
                problem = f"the {self.what} {name!r} cannot be loaded from {offered} ({problem})"
                repair = "install its dependencies, or uninstall the package that provides it"
                self._broken[name] = SegError(problem, "", repair)
                raise self._broken[name]
            self._loaded[name] = thing
        return self._loaded[name]

    def all(self) -> Iterator[T]:
        """Iterate over all objects, built-in ones first.

        Objects of other packages are loaded one at a time and skipped if loading fails, so that a broken package does
        not stop work that does not need it; see `broken`.
        """
        yield from self.own.values()
        for name in sorted(self._offered):
            with contextlib.suppress(SegError):
                yield self.get(name)

    def broken(self) -> list[SegError]:
        """Return the errors of objects of other packages that cannot be loaded."""
        errors = []
        for name in sorted(self._offered):
            try:
                self.get(name)
            except SegError as error:
                errors.append(error)
        return errors
