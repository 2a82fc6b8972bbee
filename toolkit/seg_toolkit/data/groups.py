"""Images of one source, such as time points or tiles, which belong to one side of the split."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from seg_runtime.support import DataError, OptionsError, counted

_FORM = "a pattern such as {source}_t{n}, with {source} once"
_PART = re.compile(r"\{source\}|\{(n+)\}|\*")
_NUMBERED = re.compile(
    r"(?i)(?P<source>.*?[^\W_].*?)(?P<rest>(?:[ _.-]*(?:time|tile|slice|frame|patch|crop|part|pos|fov|page|t|x|y|z|row|col|r|c|s|f)"
    r"[ _-]?\d+)+)"
)
_NUMBER = re.compile(
    r"(?P<source>.*[^\W\d_].*?\d+.*?|.*\d.*?[^\W\d_].*?)(?P<rest>[ _.-]+\d+)"
)  # the source has a number, as mouse1
_HALF = 0.5


@dataclass(frozen=True)
class Groups:
    """Cases that belong together.

    Attributes:
        of: group of a case by its name; a case that is not listed is a group of its own.
        copies: whether only copies of an image belong together, for the error if all cases do.
    """

    of: Mapping[str, str] = field(default_factory=dict)
    copies: bool = False

    def merged(self, others: Iterable[Sequence[str]]) -> Groups:
        """Return groups in which the names of each sequence belong to one group, with all that they belong to already."""
        root: dict[str, str] = {}

        def find(key: str) -> str:
            while (above := root.get(key, key)) != key:
                key = above
            return key

        for names in others:
            keys = sorted({find(self._key(name)) for name in names})
            root.update(dict.fromkeys(keys[1:], keys[0]))
        every = {*self.of, *(name for names in others for name in names)}
        return Groups({name: find(self._key(name)) for name in every})

    def parts(self, names: Iterable[str]) -> list[list[str]]:
        """Return the names of each group, in the order of their first ones."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name in names:
            found[self._key(name)].append(name)
        return list(found.values())

    def cut(self, names: Iterable[str], other: Iterable[str]) -> list[list[str]]:
        """Return the groups that have names on both sides of a split."""
        first, second = set(names), set(other)
        return [part for part in self.parts(sorted(first | second)) if first & set(part) and second & set(part)]

    def drawn(self, names: Sequence[str], fraction: float, seed: int) -> set[str]:
        """Draw whole groups until they hold about a fraction of the names, at least one group and never all.

        Raises:
            DataError: if all names are one group.
        """
        parts = self._several(sorted(names))
        aim = max(1, round(len(names) * fraction))
        return self.nearest(names, aim, seed, leave=len(parts) > 1) or set(sorted(parts, key=len)[0])

    def nearest(self, names: Sequence[str], aim: int, seed: int, leave: bool = False) -> set[str]:
        """Draw whole groups, as many as come nearest to a number of names; `leave` leaves at least one group."""
        parts = self.parts(_shuffled(names, seed))
        chosen: list[list[str]] = []
        count = 0
        for part in parts:
            nearer = abs(count + len(part) - aim) < abs(count - aim)
            if nearer and len(chosen) + leave < len(parts):
                chosen.append(part)
                count += len(part)
        return {name for part in chosen for name in part}

    def fold(self, names: Sequence[str], place: int, count: int, seed: int) -> set[str]:
        """Return one of several parts of about equal size that hold each name once, for a cross-validation.

        Args:
            names: names of all cases.
            place: number of the part, from 1.
            count: number of parts.
            seed: seed of the drawing.

        Raises:
            DataError: if there are fewer groups than parts.
        """
        groups = self._several(_shuffled(names, seed))
        if len(groups) < count:
            problem = f"{counted(len(groups), 'image')} or groups cannot be divided by --fold {place}/{count}"
            raise DataError(problem, f"at least {count}", f"use --fold {place}/{len(groups)}, or add images")
        folds: list[list[str]] = [[] for _ in range(count)]
        for group in groups:
            min(folds, key=len).extend(group)
        return set(folds[place - 1])

    def _several(self, names: Sequence[str]) -> list[list[str]]:
        """Return the groups of names. Raises DataError if there is only one, of several names."""
        parts = self.parts(names)
        if len(parts) > 1 or len(names) < 2:
            return parts
        if self.copies:
            problem, expected = f"all {len(names)} images are copies of one", "images that differ"
            raise DataError(problem, f"{expected}, for training and validation", "add other images, or use --val-list")
        problem, expected = f"all {len(names)} images belong to one group", "two groups or more"
        raise DataError(problem, f"{expected}, for training and validation", "use another --group, or --val-list")

    def _key(self, name: str) -> str:
        return self.of.get(name, f"/{name}")  # no group that a pattern finds begins so


def _shuffled(names: Sequence[str], seed: int) -> list[str]:
    shuffled = sorted(names)
    random.Random(seed).shuffle(shuffled)
    return shuffled


def parse_group(pattern: str, names: Iterable[str]) -> Groups:
    """Group names by the part that a pattern calls their source.

    In a pattern, `{source}` is that part, `{n}` a number, `{nn}` a number of two digits and so on, `*` any text:
    `{source}_t{n}`, `tile_{source}_x{n}_y{n}`, `{source}_*`.

    >>> parse_group("{source}_t{n}", ["a_t1", "a_t2", "b_t1", "c"]).parts(["a_t1", "a_t2", "b_t1", "c"])
    [['a_t1', 'a_t2'], ['b_t1'], ['c']]

    Raises:
        OptionsError: if the pattern has another form.
        DataError: if no name has its form.
    """
    if pattern.count("{source}") != 1:
        raise OptionsError(f"--group is {pattern!r}", _FORM, "write {source} where the names say what they are of")
    form, end = "", 0
    for part in _PART.finditer(pattern):
        form += re.escape(pattern[end : part.start()])
        digits = part[1] or ""
        form += {"{source}": "(.+?)", "*": ".*"}.get(part[0]) or (rf"\d{{{len(digits)}}}" if digits[1:] else r"\d+")
        end = part.end()
    compiled = re.compile(form + re.escape(pattern[end:]))
    listed = list(names)
    found = {name: match[1] for name in listed if (match := compiled.fullmatch(name))}
    if not found:
        problem = f"no image has a name of the form {pattern}"
        raise DataError(problem, f"names such as {listed[0]}" if listed else "", "correct --group")
    return Groups(found)


def proposed_group(names: Sequence[str]) -> tuple[str, Groups] | None:
    """Propose a pattern for `parse_group` if names look like time points, tiles or slices of several sources.

    >>> proposed_group(["a_t1", "a_t2", "b_t1", "b_t2"])[0]
    '{source}_t{n}'
    """
    for form in (_NUMBERED, _NUMBER):
        matches = {name: match for name in names if (match := form.fullmatch(name))}
        rests = {re.sub(r"\d+", "{n}", match["rest"]) for match in matches.values()}
        if len(matches) < len(names) or len(rests) != 1:
            continue
        groups = Groups({name: match["source"] for name, match in matches.items()})
        parts = groups.parts(names)
        if len(parts) > 1 and sum(len(part) for part in parts if len(part) > 1) > _HALF * len(names):
            return f"{{source}}{rests.pop()}", groups
    return None
