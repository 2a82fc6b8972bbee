"""Figures for a person: a name and a value a line."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[tuple[str, str]], title: str = "") -> str:
    """Rows of a name and a value, the values below each other, under a title where there is one."""
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {value}" for name, value in rows]
    return "\n".join([title, *lines] if title else lines)
