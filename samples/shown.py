"""Results of the short trainings of all recipes: figures in docs/gallery, and the gallery page made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from seg_runtime.support import write_atomic

from .generators import names

COLUMNS = ("recipe", "network", "parameters", "window", "parity error", "score", "baseline", "reached", "picture")
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
        alt = f"image, truth and answer of {row.recipe}"
        lines.append((*row.cells(), f'<a href="{file}"><img src="{file}" width="{WIDE_PX}" alt="{alt}"></a>'))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def page(rows: Sequence[Shown]) -> str:
    """Return the gallery page: the table, then each picture in full size."""
    lines = [
        "# Gallery", "",
        "Every recipe, after half a minute of training on generated samples. Each was exported with parity, and the exported file was",
        "scored on samples of another seed, which had no part in any choice. So the table shows that a recipe works, not how good it is",
        "on real data. Dice is the mean over the classes, the background included. The baseline is a trivial answer.",
        "", "`seg-train DATA --recipe NAME` uses a recipe. `make gallery` makes this page, and `pytest -m recipe` repeats its figures.",
        "", table(rows, "gallery"),
    ]  # fmt: skip
    for row in rows:
        picture = f"![image, truth and answer of the recipe {row.recipe}](gallery/{row.recipe}.png)"
        lines += ["", f"## {row.recipe}", "", picture]
        measures = [
            f"{name} {reached:.3f} (baseline {trivial:.3f})" for name, (trivial, reached) in row.measures.items()
        ]
        lines += ["", f"{', '.join(measures)}; lengths in px."] if measures else []
    return "\n".join(lines) + "\n"


def write_page(docs: Path) -> None:
    """Write the gallery page from the figures in `docs`/gallery."""
    content = page(stored(docs / "gallery"))
    write_atomic(docs / "gallery.md", lambda file: file.write(content.encode()))
