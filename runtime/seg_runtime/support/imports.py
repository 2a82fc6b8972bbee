"""Imports that may fail or that come later: packages of extras, and names of a package on first access."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec

from .errors import SegError

_INSTALLED_AS = {"skimage": "scikit-image"}
"""Names of packages that are not those of their import."""


def require_extra(extra: str, *packages: str) -> None:
    """Check that the packages of an extra are installed.

    Raises:
        SegError: a package is missing; the error names it and the extra to install.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        named = [_INSTALLED_AS.get(name, name) for name in missing]
        problem = f"{' and '.join(named)} {'is' if len(missing) == 1 else 'are'} not installed"
        raise SegError(problem, "", f"install the extra {extra!r}: pip install 'seg-edge[{extra}]'")


def import_on_access(package: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """Return a `__getattr__` for a package (PEP 562), so that a command starts to read the model before it imports
    numpy.

    Args:
        package: `__name__` of the package.
        modules: the names that each of its modules provides.
    """
    homes = {name: module for module, names in modules.items() for name in names}

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(f".{homes[name]}", package), name)
        setattr(sys.modules[package], name, value)
        return value

    return find
