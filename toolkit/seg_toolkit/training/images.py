"""Files about single images of an evaluation, the worst first: a table of their scores, and a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from seg_runtime.pipeline import Infer
from seg_runtime.support import write_atomic

from ..evaluation import Measure, image_table, objects_of, with_measures
from .objectives import Judged, Objective
from .pictures import object_preview

_SHOWN = 8  # images in a picture


def worst_first(every: Sequence[Judged]) -> list[Judged]:
    """Sort images by `Judged.order`, then by their score, the worst first; images without anything to score are last."""
    return sorted(every, key=lambda one: (math.isnan(one.order), one.order, one.score))


def write_table(path: Path, objective: Objective, every: Sequence[Judged], measures: Sequence[Measure]) -> None:
    """Write the scores of each image as CSV.

    Args:
        path: the file.
        objective: the objective that scored the images.
        every: the images.
        measures: the measures that were computed.
    """
    rows = [(one.case.name, with_measures(objective.summary([one.figures]), measures, [one.measured])) for one in every]
    text = image_table(rows)
    write_atomic(path, lambda file: file.write(text.encode()))


def write_worst(path: Path, objective: Objective, every: Sequence[Judged], infer: Infer) -> int:
    """Draw the first few images as PNG, and return their number.

    If objects were measured, true and found objects are outlined, else what the preview of a training shows.

    Args:
        path: the file.
        objective: the objective that scored the images.
        every: the images, the worst first.
        infer: the model.
    """
    shown = every[:_SHOWN]
    picture = _drawn(objective, shown, infer)
    write_atomic(path, lambda file: picture.save(file, "PNG"))
    return len(shown)


def _drawn(objective: Objective, shown: Sequence[Judged], infer: Infer) -> Image.Image:
    cases = [objective.scored(one, infer) for one in shown]
    if any(one.measured.objects is None for one in shown):
        return objective.preview(cases)
    pairs = [objects_of(case.example, *objective.parts(case.answer), objective.classes) for case in cases]
    rows = [
        (case.name, case.image, truth, found, one.order)
        for case, one, (truth, found) in zip(cases, shown, pairs, strict=True)
    ]
    return object_preview(rows, [case.example.known for case in cases])
