"""Images that belong on one side of the split: those of one source, and copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seg_runtime.support import counted

from ..data import Groups, Report, parse_group
from .copies import Copies


def find_sources(names: Sequence[str], copies: Copies, pattern: str | None, say: Report) -> Groups:
    """Group the images of a data set.

    Args:
        names: names of all images.
        copies: images that occur twice.
        pattern: `--group`, see `parse_group`; None to group copies only.
        say: called with a line about the groups.

    Raises:
        SegError: for the reasons of `parse_group`.
    """
    groups = parse_group(pattern, names) if pattern else Groups()
    if pattern:
        alone = len(names) - len(groups.of)
        rest = f"; {alone} of the names have another form and stay alone" if alone else ""
        sources, images = counted(len(groups.parts(groups.of)), "source"), counted(len(groups.of), "image")
        say(f"groups: {sources} of {images} (--group {pattern}){rest}")
    equal = replace(groups.merged(copies.equal), copies=not pattern)
    every = equal.merged(copies.similar)
    if len(every.parts(names)) == 1 < len(equal.parts(names)):
        if pattern:
            say("note: images of all sources are nearly the same, so the score says nothing about other images")
        return equal  # else nothing could be trained; without a pattern, a finding says so
    twice = {name for part in (*copies.equal, *copies.similar) for name in part}
    if twice and len(every.parts(names)) > 1:
        say(f"groups: {len(twice)} images that occur twice or nearly so stay on one side of the split")
    return replace(every, copies=not pattern)
