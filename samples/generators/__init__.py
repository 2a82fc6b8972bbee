"""Sample data sets in the public layouts that the recipes read, one module per recipe with underscores for dashes.

Each module has `write(root, count, seed)`, which fills a folder, and `SHORT`, a short training that tests the recipe.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Names of recipes that have a generator."""
    return sorted(path.stem.replace("_", "-") for path in FOLDER.glob("[a-z]*.py") if path.stem != "short")


def generator(recipe: str) -> ModuleType:
    """Import the module of a recipe."""
    return importlib.import_module(f".{recipe.replace('-', '_')}", __package__)
