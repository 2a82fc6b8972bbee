"""What the short trainings of all recipes came to: figures in docs/gallery, from them the table of the README and the gallery page."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from seg_runtime.support import DataError, write_atomic

from .generators import names

COLUMNS = ("recipe", "network", "parameters", "window", "parity error", "score", "baseline", "reached", "picture")
BEGIN, END = "<!-- recipes -->", "<!-- /recipes -->"
WIDE_PX = 180
"""Of a picture in the table; the file itself is the one of the gallery."""
ARROWS = {True: "↑", False: "↓"}


@dataclass(frozen=True)
class Shown:
    """What a short training came to."""

    recipe: str
    network: str
    parameters: int
    window: str
    parity_error: float
    """Of the range."""
    metric: str
    """What is compared."""
    higher_is_better: bool
    """Its direction."""
    baseline: str
    """The trivial answer, in words."""
    baseline_score: float
    score: float
    """Of the exported file, by the runtime."""
    measures: dict[str, tuple[float, float]] = field(default_factory=dict)
    """What the recipe's `metrics` measure besides: the baseline's, the file's."""

    @property
    def gain(self) -> float:
        """How much better than the baseline, in units of the score; negative where it is worse."""
        gain = self.score - self.baseline_score
        return gain if self.higher_is_better else -gain

    def cells(self) -> tuple[str, ...]:
        """Its line in the table, but for the picture."""
        return (
            self.recipe, self.network, f"{self.parameters:,}", self.window, f"{self.parity_error:.1e}",
            f"{self.metric} {ARROWS[self.higher_is_better]}", f"{self.baseline_score:.3f} ({self.baseline})", f"{self.score:.3f}",
        )  # fmt: skip

    def write(self, folder: Path) -> None:
        """Keep it as RECIPE.json."""
        text = json.dumps(asdict(self), indent=2) + "\n"
        write_atomic(folder / f"{self.recipe}.json", lambda file: file.write(text.encode()))


def stored(folder: Path) -> list[Shown]:
    """What was kept, in the order of the names; of recipes that there are no longer nothing."""
    paths = [folder / f"{name}.json" for name in names()]
    return [Shown(**json.loads(path.read_text("utf-8"))) for path in paths if path.exists()]


def table(rows: Sequence[Shown], pictures: str) -> str:
    """The table in Markdown.

    Args:
        rows: its lines.
        pictures: where RECIPE.png lies, as seen from the page.
    """
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    for row in rows:
        file = f"{pictures}/{row.recipe}.png"
        told = f"image, truth and answer of {row.recipe}"
        lines.append((*row.cells(), f'<a href="{file}"><img src="{file}" width="{WIDE_PX}" alt="{told}"></a>'))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def with_table(text: str, made: str) -> str:
    """The text of a page with another table between its marks.

    Raises:
        DataError: there are not both marks, each once, in their order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise DataError("a page without the marks of the table", f"{BEGIN} and {END}, each once", "put them there")
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"


def page(rows: Sequence[Shown]) -> str:
    """The gallery page: the pictures in their full size."""
    lines = [
        "# Gallery", "",
        "Every recipe after half a minute of training on made-up samples: an image, its truth, and what the exported file answers.",
        "That case, like those of the figures in the [README](../README.md#recipes), is one that neither training nor the choice of",
        "any setting has seen. `make gallery` makes both.",
    ]  # fmt: skip
    for row in rows:
        picture = f"![image, truth and answer of the recipe {row.recipe}](gallery/{row.recipe}.png)"
        lines += ["", f"## {row.recipe}", "", picture]
        told = [f"{name} {reached:.3f} (baseline {trivial:.3f})" for name, (trivial, reached) in row.measures.items()]
        lines += ["", f"{', '.join(told)}; lengths in px."] if told else []
    return "\n".join(lines) + "\n"


def write_pages(docs: Path, readme: Path) -> None:
    """Make the gallery page and the table of the README from what was kept in `docs`/gallery."""
    rows = stored(docs / "gallery")
    pictures = os.path.relpath(docs / "gallery", readme.parent).replace(os.sep, "/")
    text = with_table(readme.read_text("utf-8"), table(rows, pictures))
    for path, content in ((docs / "gallery.md", page(rows)), (readme, text)):
        write_atomic(path, lambda file, content=content: file.write(content.encode()))  # type: ignore[misc]
