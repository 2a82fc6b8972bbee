"""Recipes: defaults of `seg-train` options for common tasks, one TOML file each.

The keys of a file are options without leading dashes; its tables only group them. Options on the command line override
a recipe. Other packages add a recipe with an entry point of the group `seg_edge.recipes` that names a file, such as
`importlib.resources.files("package") / "toy.toml"`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from seg_runtime.support import OptionsError, Registry, SegError

from .config import parse_toml
from .options import TrainOptions

_FOLDER = Path(__file__).parent / "recipes"


class _TextFile(Protocol):
    def read_text(self, encoding: str) -> str: ...


RECIPES: Registry[_TextFile] = Registry(
    "seg_edge.recipes", "recipe", {path.stem: path for path in sorted(_FOLDER.glob("*.toml"))}
)


@dataclass(frozen=True)
class _Recipe:
    """One recipe.

    Attributes:
        name: name of its file.
        title: one-line description.
        options: defaults of `TrainOptions` by field name.
    """

    name: str
    title: str
    options: Mapping[str, Any]


def load_recipe(name: str) -> _Recipe:
    """Read a recipe.

    Args:
        name: name in `RECIPES`.

    Raises:
        SegError: if the recipe does not exist, its file is invalid, or a key is not an option of a training.
    """
    file = RECIPES.get(name, "run seg-edge recipes to see what they are for", OptionsError)
    try:
        content = parse_toml(file.read_text("utf-8"))
        title = str(content.pop("title"))
        tables = [dict(table) for table in content.values()]
        options = {key.replace("-", "_"): value for table in tables for key, value in table.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = "it has no title" if isinstance(error, KeyError) else error
        problem = f"recipe {name} cannot be read ({reason})"
        raise SegError(problem, "a TOML file with a title and tables of options", "correct the file") from error
    if odd := sorted(options.keys() - {f.name for f in TrainOptions.options().values()}):
        raise SegError(f"recipe {name} sets {', '.join(odd)}", "options of seg-train", "correct the file")
    return _Recipe(name, title, options)
