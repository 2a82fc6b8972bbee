"""Scores of a model on cases: each answered by the runtime's own corridor, compared, summarised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.answers import answer_of
from seg_runtime.pipeline import Infer, fitted

from ...data import Case
from ...evaluation import Measure, measure, with_measures
from .objective import Objective, ScoredCase


def scored_cases(objective: Objective, cases: Iterable[Case], infer: Infer) -> Iterator[ScoredCase]:
    """Each case with the answer of a model, one at a time."""
    answer = answer_of(objective.contract)
    for case in cases:
        example = case.read(objective.classes)
        image = fitted(example.image, objective.contract, case.name)
        yield objective.compare(case.name, example, answer.segment(image, infer))


def score(
    objective: Objective, cases: Iterable[Case], infer: Infer, measures: Sequence[Measure] = (), keep: int = 0
) -> tuple[dict[str, Any], list[ScoredCase]]:
    """The summary of all cases, ready for JSON.

    Args:
        objective: of the model.
        cases: to score.
        infer: the model.
        measures: besides, of labels only.
        keep: so many of the cases are returned, the first ones.
    """
    figures: list[Any] = []
    rows: list[dict[str, NDArray[np.float64]]] = []
    kept: list[ScoredCase] = []
    for scored in scored_cases(objective, cases, infer):
        figures.append(scored.figures)
        if len(kept) < keep:
            kept.append(scored)
        if measures:
            empty = objective.settings.empty_dice
            rows.append(measure(measures, scored.example, scored.answer, objective.classes, empty, scored.name))
    result = objective.summary(figures)
    return (with_measures(result, rows) if rows else result), kept
