"""Images that belong on one side of the split: those of one source, and copies."""

from __future__ import annotations

from collections.abc import Sequence

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
        say(f"groups: {len(groups.parts(groups.of))} sources of {len(groups.of)} images (--group {pattern}){rest}")
    twice = [*copies.equal, *copies.similar]
    merged = groups.merged(twice)
    if twice and len(merged.parts(names)) > 1:
        say(
            f"groups: {len({name for part in twice for name in part})} images that occur twice or nearly so stay on one side of the split"
        )
        return merged
    return groups
