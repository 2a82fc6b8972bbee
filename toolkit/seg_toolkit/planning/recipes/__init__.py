"""Recipes: what one task of the family wants of `seg-train`, as defaults of its options. One TOML file each.

The tables of a file are for its readers only: their keys are seg-train's options, without the dashes in front. What
stands on the command line goes before what stands in a recipe.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seg_runtime.support.errors import SegError
from seg_runtime.support.extras import require_extra

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Recipe:
    """One recipe.

    Attributes:
        name: of its file.
        title: one line about it.
        options: defaults of seg-train's options, by their names in Python.
    """

    name: str
    title: str
    options: dict[str, Any]


def names() -> list[str]:
    """All recipes, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name: str, known: Iterable[str]) -> Recipe:
    """Read a recipe.

    Args:
        name: of `names`.
        known: options of seg-train.

    Raises:
        SegError: no such recipe; a key that is no option, which only a recipe that somebody edited can have.
    """
    if name not in names():
        raise SegError(f"--recipe {name}", ", ".join(names()), "choose one of them; --list-recipes tells what they are")
    content = _parsed((FOLDER / f"{name}.toml").read_text("utf-8"))
    title = content.pop("title")
    options = {key.replace("-", "_"): value for table in content.values() for key, value in table.items()}
    if odd := sorted(options.keys() - set(known)):
        raise SegError(f"recipe {name} sets {', '.join(odd)}", "options of seg-train", "correct the file")
    return Recipe(name, title, options)


def _parsed(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        require_extra("train", "tomli")
        import tomli as tomllib
    return tomllib.loads(text)
