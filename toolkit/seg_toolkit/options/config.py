"""Configuration files: options of a training in TOML for `--config`. Each run writes one that repeats it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
from seg_runtime.cli.options import Sides, taken_by
from seg_runtime.support import METADATA_BYTES, VERSION, OptionsError, read_file, require_extra

from .options import TrainOptions

_OF_ONE_CALL = ("resume", "overwrite")


def config_of(model: Path) -> Path:
    """Return the path of the file that a training writes beside its model: `model.options.toml` for `model.pt`."""
    return beside(model, ".options.toml")


def beside(model: Path, ending: str) -> Path:
    """Return the path of a file beside a model, such as `model.csv`; suffixes other than .pt and .pth stay in the name."""
    return model.with_name((model.stem if model.suffix in (".pt", ".pth") else model.name) + ending)


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML. Raises ValueError also for nesting and numbers beyond what Python can handle."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        require_extra("train", "tomli")
        import tomli as tomllib
    try:
        content = tomllib.loads(text)
        repr(content)  # fails for a hexadecimal number of more digits than Python prints
    except RecursionError as error:
        raise ValueError("its values are nested too deeply") from error
    return content


def read_config(path: Path, command: Sequence[click.Parameter]) -> dict[str, Any]:
    """Read options from a file, by their Python names.

    Args:
        path: path of a TOML file. Its keys are options without leading dashes; underscores are allowed. Its tables only group
            them and have the titles of the groups.
        command: options and arguments of the command.

    Raises:
        OptionsError: if the file cannot be read, has an unknown table, sets something that is not an option or cannot be set
            in a file, sets an option twice, or gives it a value of another type.
    """
    try:
        content = parse_toml(read_file(path, METADATA_BYTES).decode())
    except FileNotFoundError as error:
        raise OptionsError(f"--config {path} does not exist", "a TOML file", "check the path") from error
    except (OSError, ValueError) as error:
        raise OptionsError(
            f"--config {path} cannot be read ({error})", "a TOML file", "correct the path or the file"
        ) from error
    known = {_flag(param).lstrip("-"): param for param in command}
    options: dict[str, Any] = {}
    for key, value in _entries(path, content):
        param = known.get(key.replace("_", "-"))
        if param is None:
            advice = _nearest(key.replace("_", "-"), known) or "see seg-train --help"
            raise OptionsError(f"--config {path} sets {key}, which is not an option of seg-train", "", advice)
        if not param.expose_value:
            raise OptionsError(f"--config {path} sets {key}, which has no effect in a file", "", "leave it out")
        if param.name in options:
            raise OptionsError(f"--config {path} sets {key} twice", "", "leave one of them out")
        _check_type(path, key, value, param.type)
        options[param.name or ""] = value
    return options


def _flag(param: click.Parameter) -> str:
    return max(param.opts, key=len) if isinstance(param, click.Option) else param.name or ""


def _entries(path: Path, content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of a file and of its tables."""
    tables = sorted({"data", "output", *(f.metadata["group"].lower() for f in TrainOptions.options().values())})
    for key, value in content.items():
        if not isinstance(value, dict):
            yield key, value
        elif key in tables:
            yield from value.items()
        else:
            advice = _nearest(key, tables) or "rename the table, or leave out its title"
            raise OptionsError(f"--config {path} has the table [{key}]", ", ".join(tables), advice)


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, names, 1)
    return f"did you mean {near[0]}?" if near else ""


def _check_type(path: Path, key: str, value: Any, kind: click.ParamType[Any]) -> None:
    """Check that a value of TOML has the type of an option, because click converts what is close, such as true to 1."""
    fits: tuple[type, ...] = (str,)
    if isinstance(kind, type(click.BOOL)):
        fits = (bool,)
    elif isinstance(kind, type(click.INT)):
        fits = (int,)
    elif isinstance(kind, type(click.FLOAT)):
        fits = (int, float)
    elif isinstance(kind, Sides):
        fits = (int, str)
    if not isinstance(value, fits) or (isinstance(value, bool) and bool not in fits):
        shown = {bool: str(value).lower(), str: repr(value)}.get(type(value), value)
        problem = f"--config {path} sets {key} to {shown}"
        raise OptionsError(problem, taken_by(kind) or "a text in quotes", "correct the file")


def config_text(data: Path, out: Path, options: TrainOptions, first_step: int = 0) -> str:
    """Return the text of the configuration file that repeats a training.

    Args:
        data: training folder.
        out: path of the model.
        options: options of the training.
        first_step: number of steps that were done with other options, if the training continues a run.
    """
    import tomli_w

    tables: dict[str, dict[str, Any]] = {"Data": {"data": str(data)}, "Output": {"out": str(out)}}
    if options.recipe:
        tables["Data"]["recipe"] = options.recipe
    for flag, f in options.options().items():
        value = getattr(options, f.name)
        if value is not None and f.name not in _OF_ONE_CALL:
            plain = str(value) if isinstance(value, Path) else value
            tables.setdefault(f.metadata["group"], {})[flag.lstrip("-")] = plain
    repeat = "To repeat it: seg-train --config THIS_FILE"
    if first_step:
        repeat = f"It continued a run at step {first_step}, so it cannot be repeated with this file alone."
    head = f"# This training, by seg-edge {VERSION}. {repeat}\n\n"
    text: str = tomli_w.dumps({title.lower(): table for title, table in tables.items()})
    return head + text
