"""Plain-text tables with one name and value per line, counted nouns, and texts that are alike."""

from __future__ import annotations

from collections.abc import Sequence

from .folders import named


def table(rows: Sequence[tuple[str, str]], title: str = "") -> str:
    """Format rows of a name and a value with aligned values, below an optional title."""
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {value}" for name, value in rows]
    return "\n".join([title, *lines] if title else lines)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun in the right form.

    >>> counted(1, "step"), counted(3, "step")
    ('1 step', '3 steps')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def warned_once(warnings: Sequence[str]) -> list[str]:
    """Return warnings such as "a.png has dust", those that are alike as one that names the other images.

    >>> warned_once(["a has dust", "b has dust", "c has holes"])
    ['a has dust; the same holds for b', 'c has holes']
    """
    return [first + (f"; the same holds for {named(more)}" if more else "") for first, more in alike(warnings, " has ")]


def alike(texts: Sequence[str], mark: str) -> list[tuple[str, list[str]]]:
    """Return the first of the texts that are equal behind a mark, and what the others have before it.

    >>> alike(["a has dust", "b has dust", "c has holes"], " has ")
    [('a has dust', ['b']), ('c has holes', [])]
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        found.setdefault(text.partition(mark)[2] or text, []).append(text)
    return [(same[0], [text.partition(mark)[0] for text in same[1:]]) for same in found.values()]
