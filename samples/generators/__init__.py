"""Sample data sets in the public layouts that the recipes read: one module a recipe, named as it is, dashes as underscores.

Each has `write(root, count, seed)`, which fills a folder, and `SHORT`, the short training that shows that the recipe works.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Recipes that have a generator."""
    return sorted(path.stem.replace("_", "-") for path in FOLDER.glob("[a-z]*.py") if path.stem != "short")


def generator(recipe: str) -> ModuleType:
    """The module of a recipe."""
    return importlib.import_module(f".{recipe.replace('-', '_')}", __package__)
