"""The commands as programs: Ctrl-C and SIGTERM are handled before anything else is imported.

This package imports nothing that takes time, not even `signal`, so that an interrupt does not end in a traceback.
"""

import _signal  # type: ignore[import-not-found]
import sys

SIGNALS = (_signal.SIGINT, _signal.SIGTERM)
INTERRUPTED = 130  # the exit code that shells report for Ctrl-C
_received: list[int] = []


def interrupted() -> bool:
    """Return whether the user has interrupted this program; a library may have turned the exception into another one."""
    return bool(_received)


def seg_edge() -> None:
    """Run `seg-edge`."""
    _run("seg_runtime.cli.program")


def seg_run() -> None:
    """Run `seg-run`."""
    _run("seg_runtime.cli.run")


def seg_train() -> None:
    """Run `seg-train`."""
    _run("seg_toolkit.cli.train")


def seg_export() -> None:
    """Run `seg-export`."""
    _run("seg_export.cli.export")


def _run(module: str) -> None:
    try:
        for number in SIGNALS:
            _signal.signal(number, _interrupt)
        from importlib import import_module

        import_module(module).main()
    except SystemExit:
        _ignore_interrupts()  # the work is done and the exit code is known
        raise
    except BaseException:
        if not interrupted():
            raise
        _ignore_interrupts()
        print("error: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _interrupt(number: int, frame: object) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def _ignore_interrupts() -> None:
    for number in SIGNALS:
        _signal.signal(number, _signal.SIG_IGN)
