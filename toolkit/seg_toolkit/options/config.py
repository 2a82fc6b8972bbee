"""Configuration files: options of a training in TOML for `--config`. Each run writes one that repeats it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from seg_runtime.support import METADATA_BYTES, VERSION, OptionsError, read_file, require_extra

from .options import TrainOptions

_OF_ONE_CALL = ("resume", "overwrite")


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


def read_config(path: Path, known: Mapping[str, str]) -> dict[str, Any]:
    """Read options from a file, by their Python names.

    Args:
        path: path of a TOML file. Its keys are options without leading dashes; underscores are allowed. Its tables only group
            them.
        known: flag of each option on the command line, by Python name.

    Raises:
        OptionsError: if the file cannot be read, or sets something that is not an option.
    """
    try:
        content = parse_toml(read_file(path, METADATA_BYTES).decode("utf-8"))
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
            advice = f"did you mean {near[0]}?" if near else "see seg-train --help"
            raise OptionsError(f"--config {path} sets {key}, which is not an option of seg-train", "", advice)
        if isinstance(value, (list, dict)):
            raise OptionsError(
                f"--config {path} sets {key} to {value}", "a string, a number, true or false", "correct the file"
            )
        options[names[flag]] = value
    return options


def config_text(data: Path, out: Path, options: TrainOptions) -> str:
    """Return the text of the configuration file that repeats a training.

    Args:
        data: training folder.
        out: path of the model.
        options: options of the training.
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
