"""A table of scores, one row for each image, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


def image_table(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Format scores of images as CSV, in their order.

    Args:
        rows: name of each image, and its scores as a summary of this image alone. Entries of a part have its name in front.

    Returns:
        The text, with the columns `name` and all scores that an image has. A score that an image lacks is empty.

    >>> print(image_table([("a", {"images": 1, "mean_dice": 0.5, "classes": [{"name": "cell", "dice": 0.5}]})]), end="")
    name,mean_dice,cell dice
    a,0.5,0.5
    """
    flat = [{"name": name, **_scores(summary)} for name, summary in rows]
    columns = dict.fromkeys(column for row in flat for column in row)
    text = io.StringIO()
    table = csv.DictWriter(text, list(columns), lineterminator="\n")
    table.writeheader()
    table.writerows(flat)
    return text.getvalue()


def _scores(summary: Mapping[str, Any], prefix: str = "") -> dict[str, float | None]:
    """Flatten a summary: numbers of it, of its parts and of its lists of parts with names."""
    found: dict[str, float | None] = {}
    for key, value in summary.items():
        if isinstance(value, Mapping):
            found |= _scores(value, f"{prefix}{key} ")
        elif isinstance(value, list):
            for entry in value:
                found |= _scores(entry, f"{prefix}{entry['name']} ") if isinstance(entry, Mapping) else {}
        elif key not in ("images", "name", "unit"):
            found[f"{prefix}{key}"] = None if value != value else value
    return found
