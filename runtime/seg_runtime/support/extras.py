"""Heavy packages are extras: their absence is told in one line with the extra that brings them."""

from __future__ import annotations

from importlib.util import find_spec

from .errors import SegError


def require_extra(extra: str, *packages: str) -> None:
    """Refuse to go on without `packages`.

    Raises:
        SegError: names what is missing and the extra to install.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise SegError(
            f"{', '.join(missing)} not installed", f"the extra {extra!r}", f"pip install 'seg-edge[{extra}]'"
        )
