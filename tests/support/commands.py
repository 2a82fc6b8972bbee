"""The commands, called in this process or in one of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result
from seg_export.cli.export import main as _seg_export
from seg_runtime.cli.program import main as _seg_edge
from seg_runtime.cli.run import main as _seg_run
from seg_toolkit.cli.train import main as _seg_train


def call(command: click.Command, *words: object) -> Result:
    """A command in this process; what it does not turn into an error line comes out as the exception it is."""
    result = CliRunner().invoke(command, [str(w) for w in words], catch_exceptions=False)
    assert "Traceback" not in result.output
    return result


seg_edge = partial(call, _seg_edge)
seg_run = partial(call, _seg_run)
seg_run_on_cpu = partial(call, _seg_run, "--provider", "cpu")
seg_train = partial(call, _seg_train)
seg_export = partial(call, _seg_export)


def ok(result: Result) -> Result:
    """A result that must be a success."""
    assert result.exit_code == 0, result.output
    return result


def errors(text: str) -> list[str]:
    """The error lines of what a command says."""
    return [line for line in text.splitlines() if line.startswith("error: ")]


def in_a_process(
    name: str, *words: object, path: Path | Sequence[Path] = (), **env: str
) -> subprocess.CompletedProcess[str]:
    """An installed command in a process of its own, without our $SEG_MODEL; imports look into `path` first."""
    command = [Path(sys.executable).with_name(name), *map(str, words)]
    outer = {k: v for k, v in os.environ.items() if k != "SEG_MODEL"}
    paths = [*([path] if isinstance(path, Path) else path), *filter(None, [outer.pop("PYTHONPATH", "")])]
    extra = {"PYTHONPATH": os.pathsep.join(map(str, paths))} if paths else {}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**outer, **extra, **env})
    assert "Traceback" not in ended.stdout + ended.stderr
    return ended


def in_a_fresh_process(code: str, *words: object) -> Any:
    """What Python code prints as JSON in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def error_of(result: Result) -> str:
    """The one line that ends a refused call."""
    assert result.exit_code != 0
    errors = [line for line in result.stderr.splitlines() if line.lower().startswith("error")]
    assert len(errors) == 1
    assert result.stderr.splitlines()[-1] == errors[0]
    assert "Traceback" not in result.output
    return errors[0]
