"""Train every recipe for half a minute on its samples, export it with parity, and show the outcome: `make gallery`.

    python -m samples.gallery [RECIPE…]

writes docs/gallery.md with a row and a picture for each. `pytest -m recipe` runs the same trainings and judges them.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from click.testing import CliRunner
from PIL import Image
from seg_export.export import export, write
from seg_runtime import Segmenter
from seg_toolkit.checkpoint import load
from seg_toolkit.cli import main as seg_train
from seg_toolkit.folder import stored_classes
from seg_toolkit.metrics import confusion, summary
from seg_toolkit.picture import preview
from seg_toolkit.readers import find_cases

from .generators import generator, names

DOCS = Path(__file__).parent.parent / "docs"
TABLE = ("recipe", "network", "parameters", "window", "parity error", "score", "baseline", "reached")


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
    """What is compared, higher being better."""
    baseline: str
    """The trivial answer, in words."""
    baseline_score: float
    score: float
    """Of the exported file, by the runtime, on the validation cases."""

    def row(self) -> str:
        """Its line in the table."""
        trivial = f"{self.baseline_score:.3f} ({self.baseline})"
        cells = (
            self.recipe,
            self.network,
            f"{self.parameters:,}",
            self.window,
            f"{self.parity_error:.1e}",
            self.metric,
        )
        return f"| {' | '.join((*cells, trivial, f'{self.score:.3f}'))} |"


def show(recipe: str, folder: Path) -> tuple[Shown, Image.Image]:
    """Make samples, train, export and run, all in `folder`; the figures and a picture of a validation case."""
    module = generator(recipe)
    short, data, model, file = module.SHORT, folder / "data", folder / "model.pt", folder / "model.onnx"
    module.write(data, short.count, 0)
    words = [str(data), "--recipe", recipe, "-o", str(model), "--workers", "0", *short.options]
    done = CliRunner().invoke(seg_train, words, catch_exceptions=False)
    if done.exit_code:
        raise SystemExit(done.output)
    checkpoint = load(model)
    exported = export(checkpoint, **short.export)
    write(exported, file)
    contract, classes = exported.contract, stored_classes(checkpoint.classes)
    titles = [c.info.name for c in classes]
    empty = contract.provenance["settings"]["empty_dice"]
    kept = set(contract.provenance["settings"]["validation"])
    cases = [case for case in find_cases(checkpoint.reader, data, lambda text: None) if case.name in kept]
    ours, trivial, rows = [], [], []
    with Segmenter(file, provider="cpu") as segmenter:
        for case in cases:
            example = case.read(classes)
            # a volume needs no detour over a file: what reads it is the runtime's own
            labels = segmenter.segment_page(example.image, case.name).labels
            known = slice(None) if example.known is None else example.known
            ours.append(confusion(example.labels[known], labels[known], len(classes)))
            trivial.append(confusion(example.labels[known], short.guess(example.image)[known], len(classes)))
            dice = summary(ours[-1:], titles, empty)["mean_dice"]
            rows.append((case.name, example.image, example.labels, labels, dice))
    network = checkpoint.build()
    shown = Shown(
        recipe, network.kind, sum(p.numel() for p in network.parameters()),
        f"{_sized(contract.input_shape)} → {_sized(contract.output_shape)}",
        float(contract.parity["relative_error"]), "Dice", short.baseline,
        summary(trivial, titles, empty)["mean_dice"], summary(ours, titles, empty)["mean_dice"],
    )  # fmt: skip
    telling = max(rows, key=lambda row: len(np.unique(row[2])))  # the first of those that hold the most classes
    return shown, preview([telling], contract.classes)


def _sized(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


@click.command()
@click.argument("recipes", nargs=-1, type=click.Choice(names()))
@click.option("--out", type=click.Path(path_type=Path), default=DOCS, show_default=True)
def main(recipes: tuple[str, ...], out: Path) -> None:
    """Make the gallery page anew; with RECIPES only their rows and pictures."""
    (out / "gallery").mkdir(parents=True, exist_ok=True)
    for recipe in recipes or names():
        with tempfile.TemporaryDirectory() as folder:
            shown, picture = show(recipe, Path(folder))
        picture.save(out / "gallery" / f"{recipe}.png", optimize=True)
        (out / "gallery" / f"{recipe}.json").write_text(json.dumps(asdict(shown), indent=2) + "\n", "utf-8")
        click.echo(shown.row())
    (out / "gallery.md").write_text(_page(out), "utf-8")


def _page(out: Path) -> str:
    rows = [Shown(**json.loads(path.read_text("utf-8"))) for path in sorted((out / "gallery").glob("*.json"))]
    lines = [
        "# Gallery", "",
        "Every recipe, trained for half a minute on made-up samples, exported with parity and run by the runtime on validation cases.",
        "These chose the checkpoint, and the settings of the short trainings were found on them, too: the scores show that a recipe",
        "works, not how well. The baseline is a trivial answer. `make gallery` makes this page.", "",
        f"| {' | '.join(TABLE)} |", "|" + "---|" * len(TABLE),
    ]  # fmt: skip
    lines += [row.row() for row in rows]
    for row in rows:
        lines += [
            "",
            f"## {row.recipe}",
            "",
            f"![image, truth and answer of the recipe {row.recipe}](gallery/{row.recipe}.png)",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
