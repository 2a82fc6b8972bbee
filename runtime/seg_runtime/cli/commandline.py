"""Shared code of all commands: grouped help with examples, and errors as one line on stderr with an exit code."""

from __future__ import annotations

import io
import json
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import click
from seg_edge import INTERRUPTED, interrupted

from ..support import VERSION, SegError, one_line
from .commands import commands_with
from .options import GROUPS, GroupedOption

OURS = ("seg_runtime", "seg_toolkit", "seg_export")
PIPE_CLOSED = 141  # the exit code that shells report for this signal
_F = TypeVar("_F", bound=Callable[..., Any])
SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100}


class Program(click.Command):
    """A click command that prints `error: …` instead of a traceback for wrong options, a SegError and Ctrl-C."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run the command and exit. Replaces the `standalone_mode` of `click.Command.main`."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # the terminal's encoding may lack characters
        warnings.simplefilter("ignore")  # libraries warn about unusual files; real problems are raised
        extra["standalone_mode"] = False
        try:
            code = super().main(args, prog_name, **extra)
        except (Exception, KeyboardInterrupt) as raised:
            # while a library is imported, Ctrl-C may become an ImportError
            error = KeyboardInterrupt() if interrupted() else raised
            if (explained := _explained(error)) is None:
                raise
            text, code = explained
            if text:
                click.echo(f"error: {one_line(text)}", err=True)
        sys.exit(code if isinstance(code, int) else 0)


class Command(Program):
    """A command of seg-edge. Its help shows examples, then the options in groups, the most used ones first."""

    def __init__(
        self, *words: Any, examples: Sequence[tuple[str, str]] = (), moved: Mapping[str, str] = {},
        renamed: Mapping[str, str] = {}, **more: Any,
    ) -> None:  # fmt: skip
        """Create a command.

        Args:
            words: positional arguments of `click.Command`.
            examples: pairs of a command line and its description.
            moved: options that have become commands of seg-edge -> the name of the command.
            renamed: former options -> those that do the same now.
            more: keyword arguments of `click.Command`.
        """
        super().__init__(*words, **{"context_settings": SETTINGS, **more})
        self.examples = examples
        self.former = {
            **{flag: f"a command: run `seg-edge {command}`" for flag, command in moved.items()},
            **{flag: f"the option {now}" for flag, now in renamed.items()},
        }

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse arguments as click does, but say what to do instead of an option that the command does not have."""
        for flag, now in self.former.items():
            if any(word.split("=")[0] == flag for word in args):
                raise click.UsageError(f"{flag} is now {now}", ctx)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise click.UsageError(self._instead_of(error), ctx) from error

    def _instead_of(self, error: click.NoSuchOption) -> str:
        """Explain an unknown option: an argument, an option of another command, or a typing error."""
        flag = error.option_name
        if argument := next((p for p in self.params if isinstance(p, click.Argument) and f"--{p.name}" == flag), None):
            return f"there is no option {flag}; {(argument.name or '').upper()} is given without one"
        if others := commands_with(flag):
            return f"{flag} is an option of seg-edge {' and '.join(others)}"
        near = f"; did you mean {' or '.join(error.possibilities)}?" if error.possibilities else ""
        return f"there is no option {flag}{near}"

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples and the groups of options."""
        if self.examples:
            with formatter.section("Examples"):
                for line, text in self.examples:
                    formatter.write_text(f"{text}:")
                    formatter.write(f"{'':>{formatter.current_indent + 2}}{line}\n")
        groups: dict[str, list[tuple[str, str]]] = {title: [] for title in GROUPS}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                groups[param.group if isinstance(param, GroupedOption) else "Other"].append(record)
        for title, records in groups.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def version_option() -> Callable[[_F], _F]:
    """Return the decorator that adds `--version`."""
    return click.version_option(VERSION, prog_name="seg-edge")


def written() -> frozenset[str]:
    """Return the names of the options that are set on the command line, such as `--overlay`."""
    context = click.get_current_context()
    source = click.core.ParameterSource.COMMANDLINE
    given = (p for p in context.command.params if context.get_parameter_source(p.name or "") is source)
    return frozenset(max(p.opts, key=len) for p in given)


def note(text: str) -> None:
    """Print a note on stderr."""
    click.echo(f"note: {one_line(text)}", err=True)


def show(table: str, report: Any) -> None:
    """Print a table on stderr and its report as JSON on stdout."""
    click.echo(table, err=True)
    click.echo(json.dumps(report, indent=2))


def progress_bars() -> Callable[[str, int, int], None]:
    """Return a function that shows progress bars on stderr; call it with a label, the steps done and the total."""
    known: dict[str, Callable[[int, int], None]] = {}

    def watch(what: str, done: int, total: int) -> None:
        if what not in known:
            known[what] = _progress_bar(what)
        known[what](done, total)

    return watch


def _progress_bar(label: str) -> Callable[[int, int], None]:
    """Return a function that shows one progress bar on stderr; call it after each step with the steps done and the
    total."""
    bar: Any = click.progressbar(length=1, label=label, file=sys.stderr)

    def watch(done: int, total: int) -> None:
        bar.length = total
        bar.update(1)
        if done == total:
            bar.render_finish()

    return watch


def _explained(error: BaseException) -> tuple[str, int] | None:
    """Return one line about an error and the exit code, or None for a bug of seg-edge, which ends in a traceback."""
    if isinstance(error, click.ClickException):
        text = error.format_message()
        return f"{text}{'' if text.endswith(('.', '?', '!')) else '.'} See --help.", error.exit_code
    if isinstance(error, SegError):
        return str(error), error.exit_code
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return "interrupted", INTERRUPTED
    if isinstance(error, MemoryError):
        return "out of memory. Use smaller images or a smaller network.", 1
    if isinstance(error, BrokenPipeError):
        return "", PIPE_CLOSED
    if package := _foreign_package(error):
        problem = f"the package {package} failed ({type(error).__name__}: {error})"
        return str(SegError(problem, "", "report it to its authors, or uninstall it")), 1
    if isinstance(error, OSError):
        return f"cannot use {error.filename or 'a file'} ({error.strerror or error}). Choose another path.", 1
    return None


def _foreign_package(error: BaseException) -> str:
    """Return the extension package in whose code an error was raised, or an empty string for errors of seg-edge itself."""
    from importlib.metadata import distributions

    points = [
        point for package in distributions() for point in package.entry_points if point.group.startswith("seg_edge.")
    ]
    extending = {point.module.partition(".")[0] for point in points} | set(OURS)
    frames = [
        frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    last = next((name for name in reversed(frames) if name in extending), "")
    return "" if last in OURS else last
