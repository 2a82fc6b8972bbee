"""What the masks of a data set contain: classes, objects, soft edges, palettes. Masks that could mislead are refused."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.support import DataError, SegError, counted, named

from ..data import (
    RGB,
    Case,
    ClassValues,
    DataSet,
    Mask,
    Progress,
    by_colour,
    listed,
    of_colour,
    proposed,
    shown,
)
from .reading import each

_FEWEST_STEPS = 3  # values of soft edges
_RANGE_OF_NOISE = 64  # between the two values
_SHORTEST_RANGE = 8  # between the smallest and the largest value of soft edges
_MOST_VALUES = 4096  # more are no classes, and are not examined for soft edges
_DARK = 16  # largest part of a colour that counts as black
_STRAY = 0.001  # most pixels of a mask that have stray values, as a share
_FEW_MASKS = 0.1  # most masks with a stray value, as a share; one is always few
_MOST_LEVELS = 256  # values of a mask of 8 bits with soft edges
_MOST_STRAYS = 16  # values; more are soft edges or objects


class MaskError(DataError):
    """Masks could mislead a training: their values do not mean the same everywhere, or are no classes."""


class StrayValuesError(DataError):
    """A few pixels of the masks have values of their own."""


@dataclass
class Occurrence:
    """Where a value occurs.

    Attributes:
        pixels: number of pixels.
        share: largest share of the pixels of a mask.
        masks: pixels in each mask, by the name of the case.
    """

    pixels: int = 0
    share: float = 0.0
    masks: dict[str, int] = field(default_factory=dict)


@dataclass
class MaskSurvey:
    """What is found in the masks of a data set.

    Attributes:
        data: data set.
        values: values that occur, each with a file that contains it.
        occurrences: where each value occurs; masks with very many values are left out.
        shapes: shape of each mask, by the name of the case.
        sets: values other than 0 of each mask.
        flat: values that fill a square of 3×3 pixels somewhere, with the number of such places.
        between: for each value, the number of pixels, and of those whose neighbours include smaller and larger values.
        palettes: colour of each index, with a file that has it.
        wide: whether a mask has more than 8 bits.
        of_classes: whether objects have files of their own, so that the masks contain classes.
        notes: what the user should know.
    """

    data: DataSet
    values: dict[int, str] = field(default_factory=dict)
    occurrences: dict[int, Occurrence] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    sets: list[frozenset[int]] = field(default_factory=list)
    flat: dict[int, int] = field(default_factory=dict)
    between: dict[int, tuple[int, int]] = field(default_factory=dict)
    palettes: dict[int, dict[RGB, str]] = field(default_factory=dict)
    wide: bool = False
    of_classes: bool = False
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls, data: DataSet, classes: Sequence[ClassValues] = (),
        progress: Progress = iter,
        failed: dict[str, SegError] | None = None,
    ) -> MaskSurvey:  # fmt: skip
        """Read all masks once.

        Args:
            data: data set.
            classes: classes, if they are known, which may be colours.
            progress: wraps the cases to show progress.
            failed: receives the error of each mask that cannot be read, by the name of its case; None to raise one.

        Raises:
            DataError: for the reasons of `load_mask`; the message names all cases.
        """
        found = cls(data)
        notes: list[str] = []

        def take(case: Case) -> None:
            if (mask := case.mask(by_colour(classes))) is None:
                if not classes:  # reading a volume takes long
                    found.values = {**case.values(), **found.values}
                return
            notes.extend(mask.notes)
            found._add(mask, case.name)

        each(data.cases, take, progress, failed)
        kinds: dict[str, list[str]] = {}
        for note in notes:  # each begins with the name of its file
            kinds.setdefault(" ".join(word for word in note.split() if "/" not in word), []).append(note)
        found.notes = [f"{of[0]} ({len(of)} masks)" if len(of) > 1 else of[0] for of in kinds.values()]
        return found

    def _add(self, mask: Mask, case: str) -> None:
        stored, inverse, counts = np.unique(mask.values, return_inverse=True, return_counts=True)
        self.values = {**dict.fromkeys(stored.tolist(), mask.name), **self.values}
        self.sets.append(frozenset(stored.tolist()) - {0})
        self.wide |= mask.wide
        self.of_classes |= mask.of_classes
        self.shapes[case] = mask.values.shape
        if len(stored) <= _MOST_VALUES:
            for value, count in zip(stored.tolist(), counts.tolist(), strict=True):
                occurrence = self.occurrences.setdefault(value, Occurrence())
                occurrence.pixels += count
                occurrence.share = max(occurrence.share, count / mask.values.size)
                occurrence.masks[case] = count
        for index, colour in mask.palette.items():
            self.palettes.setdefault(index, {}).setdefault(colour, mask.name)
        if 2 < len(stored) <= _MOST_VALUES:
            self._add_edges(stored, inverse.reshape(mask.values.shape), counts)

    def _add_edges(self, stored: NDArray[np.int64], ranks: NDArray[np.intp], counts: NDArray[np.intp]) -> None:
        near = ranks.astype(np.int16)
        low, high = ndimage.minimum_filter(near, 3), ndimage.maximum_filter(near, 3)
        flat = np.bincount(near[low == high], minlength=len(stored))
        between = np.bincount(near[(low < near) & (near < high)], minlength=len(stored))
        for i, value in enumerate(stored.tolist()):
            pixels, inside = self.between.get(value, (0, 0))
            self.between[value] = (pixels + int(counts[i]), inside + int(between[i]))
            self.flat[value] = self.flat.get(value, 0) + int(flat[i])

    def check(self, classes: Sequence[ClassValues] = ()) -> None:
        """Check that the values mean the same in all masks, and that no class is missing because of soft edges.

        Args:
            classes: classes that the user or the model gives; empty for none.

        Raises:
            MaskError: if palettes disagree with the values or with each other, or edges are soft.
        """
        for problem in self.problems(classes):
            raise problem

    def problems(self, classes: Sequence[ClassValues] = ()) -> Iterator[MaskError]:
        """Yield the errors that `check` raises, all of them."""
        if by_colour(classes):
            return
        yield from self._of_palettes()
        known = {value for entry in classes for value in entry.values}
        if classes and self.values.keys() <= known:
            return
        rest = self.without(self.strays(classes))
        yield from rest._of_edges()
        if not classes:
            yield from rest._of_codings()

    def strays(self, classes: Sequence[ClassValues] = ()) -> dict[int, Occurrence]:
        """Values with few pixels in few masks, which are probably mistakes: at most a thousandth of every mask.

        Args:
            classes: classes, whose values are none.
        """
        known = {value for entry in classes for value in entry.values}
        few = max(1, int(_FEW_MASKS * len(self.shapes)))
        found = {
            value: at for value, at in sorted(self.occurrences.items())
            if value not in known and at.share < _STRAY and len(at.masks) <= few
        }  # fmt: skip
        together: dict[str, int] = {}
        for at in found.values():
            for name, count in at.masks.items():
                together[name] = together.get(name, 0) + count
        least = {name: _STRAY * np.prod(self.shapes[name]) for name in together}
        if len(found) > _MOST_STRAYS or any(count > least[name] for name, count in together.items()):
            return {}
        return found if len(self.occurrences) - len(found) > 1 or known else {}

    def without(self, values: Iterable[int]) -> MaskSurvey:
        """Return the survey without certain values."""
        left = set(values)

        def rest(found: dict[int, Any]) -> dict[int, Any]:
            return {value: thing for value, thing in found.items() if value not in left}

        return replace(
            self, values=rest(self.values), occurrences=rest(self.occurrences), sets=[found - left for found in self.sets],
            flat=rest(self.flat), between=rest(self.between), palettes=rest(self.palettes),
        )  # fmt: skip

    def stray_problem(self, strays: Mapping[int, Occurrence], classes: Sequence[ClassValues]) -> StrayValuesError:
        """Return the error about stray values."""
        where = [f"{shown(value)} ({counted(at.pixels, 'pixel')})" for value, at in strays.items()]
        names = sorted({name for at in strays.values() for name in at.masks})
        files = named(names) if len(names) > 1 else self.values[min(strays)]
        problem = (
            f"{counted(len(strays), 'value')} of the masks {'has' if len(strays) == 1 else 'have'} only a few pixels: "
        )
        problem += f"{', '.join(where)} in {files}"
        whole = proposed(sorted(self.values)[:_MOST_STRAYS])
        it, its, a_class = ("it", "its", "it is a class") if len(strays) == 1 else ("them", "their", "they are classes")
        advice = f"assign {it} to the nearest class with --snap-values, leave {its} pixels out with --ignore-value "
        advice += listed(strays) + (
            f", or add {it} to --classes" if classes else f", or, if {a_class}, name all: --classes {whole}"
        )
        return StrayValuesError(problem, "", advice)

    def _of_palettes(self) -> Iterator[MaskError]:
        """Find palettes that differ, or whose black is not the background, as white first."""
        colours = list(dict.fromkeys(colour for of in self.palettes.values() for colour in of))
        colours.sort(key=lambda colour: (max(colour) >= _DARK, sum(colour)))
        advice = "name the classes by colour, the background first, as in --classes "
        advice += proposed([of_colour(colour) for colour in colours])
        for index, of in self.palettes.items():
            if len(of) > 1:
                (one, there), (other, here) = list(of.items())[:2]
                problem = (
                    f"the palettes of the masks differ: {index} is {_hex(one)} in {there} and {_hex(other)} in {here}"
                )
                yield MaskError(problem, "one palette for all masks", advice)
                return
        single = {index: next(iter(of)) for index, of in self.palettes.items()}
        if 0 not in single or len(set(single.values())) < 2:
            return
        first, others = single[0], [colour for index, colour in single.items() if index]
        grey = all(len(set(colour)) == 1 for colour in single.values())
        black = max(first) >= _DARK and any(max(colour) < _DARK for colour in others)
        if black or (grey and all(sum(first) > sum(colour) for colour in others)):
            where = self.palettes[0][first]
            problem = f"the palette of {where} has {_hex(first)} for 0, the background, and darker colours for others"
            yield MaskError(problem, "black for the background", advice)

    def _of_edges(self) -> Iterator[MaskError]:
        """Find masks with soft edges: many values that lie only between smaller and larger ones, along lines."""
        steps = [v for v, (pixels, inside) in self.between.items() if not self.flat[v] and 2 * inside >= pixels]
        found = sorted(self.values)
        width = found[-1] - found[0]
        soft = len(steps) >= _FEWEST_STEPS and 2 * len(steps) >= len(found) and width >= _SHORTEST_RANGE
        if not soft and not _is_noise(found):
            return
        steps = steps or found
        problem = f"the masks have {len(found)} values between {found[0]} and {found[-1]}, such as {steps[len(steps) // 2]} in "
        problem += f"{self.values[steps[len(steps) // 2]]}, which suggest "
        if len(found) > _MOST_LEVELS:
            advice = "put the masks there, not the images or probabilities"
            yield MaskError(f"{problem}an image or probabilities", "one value for each class", advice)
            return
        problem += "an antialiased, resized or JPEG mask"
        advice = f"save the masks without soft edges, or set thresholds: --classes {self._thresholds()}"
        yield MaskError(problem, "one value for each class", advice)

    def _of_codings(self) -> Iterator[MaskError]:
        """Find masks with 0 and 1 among masks with 0 and 255, which mean the same."""
        if self.values.keys() - {0} != {1, 255} or any({1, 255} <= found for found in self.sets):
            return
        problem = f"some masks have 0 and 1, such as {self.values[1]}, others 0 and 255, such as {self.values[255]}"
        advice = "if both mean the same, use --classes background=0,foreground=1+255"
        yield MaskError(problem, "the same values in all masks", advice)

    def _thresholds(self) -> str:
        """Propose a range of values for each level, which ends in the middle between two levels."""
        low, high = min(self.values), max(self.values)
        most = sum(self.flat.values())
        levels: list[int] = []
        for value in sorted(self.flat, key=lambda value: -self.flat[value]):
            far = all(abs(value - level) > (high - low) / 8 for level in levels)
            if far and self.flat[value] >= most / 100:
                levels.append(value)
        levels = sorted(levels) if len(levels) > 1 else [low, high]
        ends = [(one + other) // 2 for one, other in itertools.pairwise(levels)]
        names = ["background", *(["foreground"] if len(levels) == 2 else [f"class{i}" for i in range(1, len(levels))])]
        ranges = zip(names, [min(low, 0), *(end + 1 for end in ends)], [*ends, max(high, 255)], strict=True)
        return ",".join(f"{name}={first}-{last}" for name, first, last in ranges)


def _is_noise(values: Sequence[int]) -> bool:
    """Whether sorted values are a few near the smallest and a few near the largest one, as JPEG makes of two."""
    low, high = values[0], values[-1]
    near = (high - low) / 8
    below, above = (sum(abs(value - end) <= near for value in values) for end in (low, high))
    return high - low >= _RANGE_OF_NOISE and below > 1 and above > 1 and below + above == len(values)


def _hex(colour: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def missing_classes(
    whole: Sequence[NDArray[np.int64]], training: Sequence[NDArray[np.int64]], names: Sequence[str]
) -> list[str]:
    """Warn about classes that the training images lack.

    Args:
        whole: `(K,)` numbers of pixels of each class, for every image.
        training: the same for the training images.
        names: names of the classes.
    """
    everywhere, seen = (np.sum(part, axis=0) for part in (whole, training))
    notes = []
    if (seen > 0).sum() == 1:
        only = names[int(np.argmax(seen))]
        notes.append(f"all training images contain only {only}, so the network learns nothing else; check the masks")
    nowhere = [name for name, count in zip(names, everywhere, strict=True) if not count]
    if nowhere:
        notes.append(f"no image contains {named(nowhere)}")
    if lacking := [name for name, count, there in zip(names, seen, everywhere, strict=True) if there and not count]:
        notes.append(
            f"only validation images contain {named(lacking)}, so it cannot be learned; choose others with --val-list"
        )
    return notes
