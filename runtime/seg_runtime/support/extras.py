"""Optional packages: one error that names the extra to install if a package is missing."""

from __future__ import annotations

from importlib.util import find_spec

from .errors import SegError


def require_extra(extra: str, *packages: str) -> None:
    """Check that the packages of an extra are installed.

    Raises:
        SegError: a package is missing; the error names it and the extra to install.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        problem = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed"
        raise SegError(problem, "", f"install the extra {extra!r}: pip install 'seg-edge[{extra}]'")
