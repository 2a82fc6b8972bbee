"""The classes of a training, from `--classes`, the data set or the values of the masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seg_runtime.support import DataError, counted

from ..data import INSTANCES, ClassValues, DataSet, Report, background_of, listed, with_snapped
from ..data.readers import with_option
from .masks import MaskSurvey
from .numbered import numbers_objects


def parse_classes(text: str, say: Report) -> tuple[ClassValues, ...]:
    """Parse `--classes`, and report which class is the background if the order of the names does not show it.

    Raises:
        OptionsError: for the reasons of `ClassValues.parse`.
    """
    classes = ClassValues.parse(text)
    name = classes[0].info.name
    if background_of(classes) is None:
        say(f"note: {name} is taken as the background, because it is the first class")
    elif not text.strip().startswith(f"{name}="):
        say(f"note: {name} becomes the first class, because it is the background")
    return classes


def choose_classes(
    masks: MaskSurvey, given: Sequence[ClassValues], snap: bool, say: Report
) -> tuple[DataSet, tuple[ClassValues, ...]]:
    """Choose the classes.

    Args:
        masks: what the masks contain.
        given: classes that the user or the data set names; empty for none.
        snap: whether stray values count as the nearest class.
        say: called with what the user should know.

    Returns:
        The data set, as its masks are to be read, and the classes.

    Raises:
        DataError: if the masks could mislead, or no classes follow from their values.
    """
    data, strays = masks.data, masks.strays(given)
    if snap:
        data = _snapped(masks, given, say)
        masks, strays = replace(masks.without(strays), data=data), {}
    masks.check(given)
    if not given and numbers_objects(masks, say):
        data = replace(data.with_masks(INSTANCES), reader=with_option(data.reader, "masks", INSTANCES))
        say("note: the masks number objects, so they are used as instances; if they are classes, name them: --classes")
        return data, ClassValues.infer(data.mask_values())
    if strays:
        raise masks.stray_problem(strays, given)
    return data, tuple(given) or ClassValues.infer(masks.values)


def snap_strays(data: DataSet, classes: Sequence[ClassValues], say: Report) -> DataSet:
    """Assign stray values of the masks to the nearest of the classes of a model."""
    return _snapped(MaskSurvey.of(data, classes), classes, say)


def _snapped(masks: MaskSurvey, classes: Sequence[ClassValues], say: Report) -> DataSet:
    """Assign stray values to the nearest class, and report how many pixels have them.

    Raises:
        DataError: if the data set has no mask files.
    """
    data = masks.data
    if not masks.shapes:
        advice = "leave it out, and correct the masks"
        raise DataError(f"--snap-values does not fit the reader {data.reader}", "mask files", advice)
    if not (strays := masks.strays(classes)):
        say("note: --snap-values changes nothing, because the masks have no stray values")
        return data
    text = listed(strays)
    count = sum(at.pixels for at in strays.values())
    say(
        f"note: {counted(count, 'pixel')} with stray values ({text}) {'counts' if count == 1 else 'count'} as the nearest class"
    )
    return replace(with_snapped(data, text), reader=with_option(data.reader, "snap", text))
