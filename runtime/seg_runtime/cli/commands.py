"""The commands of seg-edge by name. Packages add commands with entry points of the group `seg_edge.commands`."""

from __future__ import annotations

import contextlib

import click

from ..support import Registry, SegError, instance_of

COMMANDS: Registry[click.Command] = Registry("seg_edge.commands", "command", {}, instance_of(click.Command))
USUAL = ("check", "train", "evaluate", "export", "self-test", "run")
"""The commands of the typical workflow from images to masks, in order."""


def in_order() -> list[str]:
    """Return the names of the typical workflow, then the others."""
    names = COMMANDS.names()
    return [*(name for name in USUAL if name in names), *(name for name in names if name not in USUAL)]


def commands_with(flag: str) -> list[str]:
    """Return the names of the commands that have an option, such as `--steps`. Packages that cannot be loaded are left out."""
    found = []
    for name in in_order():
        with contextlib.suppress(SegError):
            if any(flag in param.opts for param in COMMANDS.get(name).params):
                found.append(name)
    return found
