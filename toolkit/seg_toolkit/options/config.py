"""Configuration files: the options of a training in TOML, to be read by `--config`. Every run writes one that repeats it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from seg_runtime.support import VERSION, OptionsError, require_extra

from .options import TrainOptions

_OF_ONE_CALL = ("resume", "overwrite")


def parse_toml(text: str) -> dict[str, Any]:
    """The content of a TOML file."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        require_extra("train", "tomli")
        import tomli as tomllib
    return tomllib.loads(text)


def read_config(path: Path, known: Mapping[str, str]) -> dict[str, Any]:
    """The options in a file, by their names in Python.

    Args:
        path: of a TOML file. Its keys are options without their leading dashes, also with underscores; its tables only order
            them.
        known: how each option is written on the command line, by its name.

    Raises:
        OptionsError: the file cannot be read, or sets something else.
    """
    try:
        content = parse_toml(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise OptionsError(
            f"--config {path} cannot be read ({error})", "a TOML file", "correct the path or the file"
        ) from error
    found: dict[str, Any] = {}
    for key, value in content.items():
        found |= value if isinstance(value, dict) else {key: value}
    names = {flag.lstrip("-"): name for name, flag in known.items()}
    options: dict[str, Any] = {}
    for key, value in found.items():
        flag = key.replace("_", "-")
        if flag not in names:
            near = get_close_matches(flag, names, 1)
            fix = f"did you mean {near[0]}?" if near else "see seg-train --help"
            raise OptionsError(f"--config {path} sets {key}, which is no option of seg-train", "", fix)
        if isinstance(value, (list, dict)):
            raise OptionsError(
                f"--config {path} sets {key} to {value}", "a text, a number, true or false", "correct the file"
            )
        options[names[flag]] = value
    return options


def config_text(data: Path, out: Path, options: TrainOptions) -> str:
    """The file that repeats a training.

    Args:
        data: the training folder.
        out: where the model is written.
        options: of the training.
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
    head = f"# This training, by seg-edge {VERSION}. To repeat it: seg-train --config THIS_FILE\n\n"
    text: str = tomli_w.dumps({title.lower(): table for title, table in tables.items()})
    return head + text
