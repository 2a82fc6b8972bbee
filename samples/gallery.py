"""Train every recipe for half a minute on its samples, export it with parity, and show the outcome: `make gallery`.

    python -m samples.gallery [RECIPE…]

writes a row and a picture in docs/gallery.md for each. `pytest -m recipe` runs the same trainings and
judges them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image
from seg_export.options import ExportOptions
from seg_export.pipeline import export, write
from seg_runtime import Segmenter
from seg_runtime.formats import Page
from seg_runtime.support import write_atomic
from seg_toolkit.checkpoints import load
from seg_toolkit.cli.train import main as seg_train
from seg_toolkit.data.readers import read_data_set
from seg_toolkit.evaluation import Measure, measure, over_images
from seg_toolkit.options import Settings
from seg_toolkit.training import OBJECTIVES

from .generators import generator, names
from .shown import Shown, write_page

ROOT = Path(__file__).parent.parent
SEED, SCORED_SEED = 0, 424242
"""Of the samples that a training has, a part of them for validation, and of those that its file is scored on. No setting of
a recipe or its short training may be chosen by the latter: choose on other seeds."""


def show(recipe: str, folder: Path, scored_seed: int = SCORED_SEED) -> tuple[Shown, Image.Image]:
    """Make samples, train, export and run on other samples, all in `folder`; the figures and a picture of such a sample.

    Args:
        recipe: its name.
        folder: to work in.
        scored_seed: of the samples that the file is scored on.
    """
    module = generator(recipe)
    short, data, model, file = module.SHORT, folder / "data", folder / "model.pt", folder / "model.onnx"
    unseen = folder / "unseen"
    module.write(data, short.count, SEED)
    module.write(unseen, short.count, scored_seed)
    words = [str(data), "--recipe", recipe, "-o", str(model), "--workers", "0", *short.options]
    done = CliRunner().invoke(seg_train, words, catch_exceptions=False)
    if done.exit_code:
        raise SystemExit(done.output)
    checkpoint = load(model)
    exported = export(checkpoint, ExportOptions(**short.export))
    write(exported, file)
    contract = exported.contract
    settings = Settings.stored(contract.provenance["settings"])
    objective = OBJECTIVES.get(contract.answer.kind)(contract, checkpoint.classes, settings)
    cases = read_data_set(checkpoint.reader, unseen, lambda text: None).cases
    ours, trivial, measured = [], [], []
    measures = [m for m in Measure.parse(settings.metrics) if not m.of_objects]  # which have no single number
    with Segmenter(file, provider="cpu") as segmenter:
        for case in cases:
            example = case.read(objective.classes)
            # a volume needs no detour over a file: what reads it is the runtime's own
            answers = short.guess(example.image), segmenter.segment_page(Page(example.image, case.name)).answer
            floor, reached = (objective.compare(case.name, example, answer) for answer in answers)
            trivial.append(floor)
            ours.append(reached)
            if measures:
                empty = settings.empty_dice
                measured.append(
                    [measure(measures, example, answer, objective.classes, empty).scores for answer in answers]
                )
    least, score = (
        objective.best(objective.summary([scored.figures for scored in found])) for found in (trivial, ours)
    )
    network = checkpoint.build()
    shown = Shown(
        recipe, network.kind, sum(p.numel() for p in network.parameters()),
        f"{_sized(contract.geometry.input_shape)} → {_sized(contract.geometry.output_shape)}",
        float(contract.parity["relative_error"]), objective.title, True, short.baseline, least, score,
        {m.text: _pair(m, measured) for m in measures},
    )  # fmt: skip
    telling = max(
        ours, key=lambda scored: len(np.unique(scored.truth))
    )  # the first of those that hold the most classes
    return shown, objective.preview([telling])


def _pair(measure: Measure, measured: Sequence[Sequence[Mapping[str, NDArray[np.float64]]]]) -> tuple[float, float]:
    """A measure of the baseline and of the file, mean over images, and over the classes but the background."""
    means = [over_images([pair[place][measure.text] for pair in measured]) for place in (0, 1)]
    trivial, reached = (float(np.nanmean(mean if len(mean) == 1 else mean[1:])) for mean in means)
    return trivial, reached


def _sized(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


@click.command()
@click.argument("recipes", nargs=-1, type=click.Choice(names()))
@click.option("--docs", type=click.Path(path_type=Path), default=ROOT / "docs", show_default=True)
def main(recipes: tuple[str, ...], docs: Path) -> None:
    """Make the gallery page again; with RECIPES, only their rows and pictures."""
    for recipe in recipes or names():
        with tempfile.TemporaryDirectory() as folder:
            shown, picture = show(recipe, Path(folder))
        _save(picture, docs / "gallery" / f"{recipe}.png")
        shown.write(docs / "gallery")
        click.echo("  ".join(shown.cells()))
    write_page(docs)


def _save(picture: Image.Image, path: Path) -> None:
    write_atomic(path, lambda file: picture.save(file, "PNG", optimize=True))


if __name__ == "__main__":
    main()
