"""Parts of the documentation that are made from the code when the site is built: commands and rules."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import click
from seg_runtime.cli.commandline import Command
from seg_runtime.cli.options import GROUPS, GroupedOption
from seg_runtime.cli.program import COMMANDS, USUAL
from seg_runtime.support.capabilities import described


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page; MkDocs calls this for each page."""
    markdown = re.sub(r"<!-- rules (\S+) (\S+) -->", lambda m: described(getattr(import_module(m[1]), m[2])), markdown)
    return markdown.replace("<!-- commands -->", "\n".join(_commands()))


def _commands() -> Iterator[str]:
    names = [*USUAL, *sorted(name for name in COMMANDS.names() if name not in USUAL)]
    for name in names:
        yield from _command(name, COMMANDS.get(name))


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"seg-edge {name}")
    yield from (f"## {name}", "", "    " + command.get_usage(context).removeprefix("Usage: "), "")
    yield re.sub(r"\n[ ]+", "\n", command.help or "")
    if isinstance(command, Command):
        for line, text in command.examples:
            yield from ("", f"{text}:", "", f"    {line}")
    for title in GROUPS:
        rows = [p for p in command.params if isinstance(p, GroupedOption) and p.group == title]
        if rows:
            yield from ("", f"### {title} {{ #{name}-{title.lower().replace(' ', '-')} }}", "")
            yield from ("| option | what it does |", "|---|---|")
            yield from (_row(param, context) for param in rows)
    yield ""


def _row(param: click.Option, context: click.Context) -> str:
    flags, text = param.get_help_record(context) or ("", "")
    return f"| `{flags.replace('|', ' ')}` | {text.replace('|', ' ')} |"
