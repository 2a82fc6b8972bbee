"""What the three command lines share: whatever goes wrong is one line on stderr and an exit code, never a traceback."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import click

from ..support import SegError

INTERRUPTED, PIPE_CLOSED = 130, 141  # what shells report for these signals


class Command(click.Command):
    """A click command that prints `error: …` for wrong options, for a SegError and for Ctrl-C."""

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run and exit; see `click.Command.main`, whose `standalone_mode` this replaces."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a narrow encoding of the terminal must not end the work
        warnings.simplefilter("ignore")  # libraries grumble about odd files; what matters is raised
        extra["standalone_mode"] = False
        try:
            code = super().main(args, prog_name, **extra)
        except click.ClickException as error:
            _fail(f"{error.format_message().rstrip('.')}: see --help", error.exit_code)
        except SegError as error:
            _fail(str(error), error.exit_code)
        except MemoryError:
            _fail("out of memory; wanted more of it: work on smaller images or with a smaller network", 1)
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                sys.exit(PIPE_CLOSED)
            _fail(
                f"{error.filename or 'a file'}: {error.strerror or error}; wanted a path that can be used: choose another",
                1,
            )
        except (KeyboardInterrupt, click.Abort):
            _fail("interrupted", INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


def progress_bars() -> Callable[[str, int, int], None]:
    """A progress bar on stderr for each thing that is done; called with its name, how many are done and how many in all."""
    known: dict[str, Callable[[int, int], None]] = {}

    def watch(what: str, done: int, total: int) -> None:
        if what not in known:
            known[what] = _progress_bar(what)
        known[what](done, total)

    return watch


def _progress_bar(label: str) -> Callable[[int, int], None]:
    """A progress bar on stderr; called after each step with how many are done and how many in all."""
    bar: Any = click.progressbar(length=1, label=label, file=sys.stderr)

    def watch(done: int, total: int) -> None:
        bar.length = total
        bar.update(1)
        if done == total:
            bar.render_finish()

    return watch


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)
