"""Each recipe, from samples in its data set's own layout to a file that the runtime runs, better than a trivial answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from seg_toolkit.options import RECIPES

from samples import generators
from samples.gallery import show


def test_every_recipe_has_a_generator() -> None:
    assert generators.names() == RECIPES.names()


@pytest.mark.recipe
@pytest.mark.parametrize("recipe", generators.names())
def test_a_short_training_beats_the_trivial_answer(tmp_path: Path, recipe: str) -> None:
    shown, picture = show(recipe, tmp_path)
    assert shown.gain > generators.generator(recipe).SHORT.gain, shown
    for measure, (trivial, reached) in shown.measures.items():
        assert (reached > trivial) if measure.startswith("surface-dice") else (reached < trivial), (measure, shown)
    assert shown.parity_error <= 1e-4
    assert min(picture.size) > 50
