"""What the masks of a data set contain: classes, objects, soft edges, palettes. Masks that could mislead are refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.support import DataError, named

from ..data import RGB, Case, ClassValues, DataSet, Mask, Report, by_colour, of_colour, proposed

_SAMPLE = 16  # masks in which objects are counted
_FEWEST_STEPS = 3  # values of soft edges
_RANGE_OF_NOISE = 64  # between the two values
_SHORTEST_RANGE = 8  # between the smallest and the largest value of soft edges
_MOST_VALUES = 4096  # more are no classes, and are not examined for soft edges
_SINGLE = 0.9  # share of values that are one region each, if values number objects
_DARK = 16  # largest part of a colour that counts as black


@dataclass
class MaskSurvey:
    """What is found in the masks of a data set.

    Attributes:
        data: data set.
        values: values that occur, each with a file that contains it.
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
        progress: Callable[[Iterable[Case]], Iterable[Case]] = lambda cases: cases,
    ) -> MaskSurvey:  # fmt: skip
        """Read all masks once.

        Args:
            data: data set.
            classes: classes, if they are known, which may be colours.
            progress: wraps the cases to show progress.
        """
        found = cls(data)
        notes: list[str] = []
        for case in progress(data.cases):
            if (mask := case.mask(by_colour(classes))) is None:
                if not classes:  # reading a volume takes long
                    found.values = {**case.values(), **found.values}
                continue
            notes += mask.notes
            found._add(mask)
        kinds: dict[str, list[str]] = {}
        for note in notes:  # each begins with the name of its file
            kinds.setdefault(" ".join(word for word in note.split() if "/" not in word), []).append(note)
        found.notes = [f"{of[0]} ({len(of)} masks)" if len(of) > 1 else of[0] for of in kinds.values()]
        return found

    def _add(self, mask: Mask) -> None:
        stored, inverse, counts = np.unique(mask.values, return_inverse=True, return_counts=True)
        self.values = {**dict.fromkeys(stored.tolist(), mask.name), **self.values}
        self.sets.append(frozenset(stored.tolist()) - {0})
        self.wide |= mask.wide
        self.of_classes |= mask.of_classes
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
            DataError: if palettes disagree with the values or with each other, or edges are soft.
        """
        if by_colour(classes):
            return
        self._check_palettes()
        known = {value for entry in classes for value in entry.values}
        if not (classes and self.values.keys() <= known):
            self._check_edges()

    def _check_palettes(self) -> None:
        """Refuse palettes that differ, or whose black is not the background, as white first."""
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
                raise DataError(problem, "one palette for all masks", advice)
        single = {index: next(iter(of)) for index, of in self.palettes.items()}
        if 0 not in single or len(set(single.values())) < 2:
            return
        first, others = single[0], [colour for index, colour in single.items() if index]
        grey = all(len(set(colour)) == 1 for colour in single.values())
        black = max(first) >= _DARK and any(max(colour) < _DARK for colour in others)
        if black or (grey and all(sum(first) > sum(colour) for colour in others)):
            where = self.palettes[0][first]
            problem = f"the palette of {where} has {_hex(first)} for 0, the background, and darker colours for others"
            raise DataError(problem, "black for the background", advice)

    def _check_edges(self) -> None:
        """Refuse masks with soft edges: many values that lie only between smaller and larger ones, along lines."""
        steps = [v for v, (pixels, inside) in self.between.items() if not self.flat[v] and 2 * inside >= pixels]
        found = sorted(self.values)
        width = found[-1] - found[0]
        soft = len(steps) >= _FEWEST_STEPS and 2 * len(steps) >= len(found) and width >= _SHORTEST_RANGE
        if not soft and not _is_noise(found):
            return
        steps = steps or found
        problem = f"the masks have {len(found)} values between {found[0]} and {found[-1]}, such as {steps[len(steps) // 2]} in "
        problem += f"{self.values[steps[len(steps) // 2]]}, which suggest an antialiased, resized or JPEG mask"
        advice = f"save the masks without soft edges, or set thresholds: --classes {self._thresholds()}"
        raise DataError(problem, "one value for each class", advice)

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

    def numbers_objects(self, say: Report) -> bool:
        """Whether the values of the masks number objects instead of classes, as far as the masks show it.

        They do if each value is one region, and the values are 1 to n in every mask, with different n, or are too many for
        classes, or have more than 8 bits and are apart from each other or in the order of the pixels.

        Args:
            say: called with a note if the values are probably classes.

        Raises:
            DataError: if the values may be either.
        """
        every: frozenset[int] = frozenset().union(*self.sets)
        if self.of_classes or len(every) < 2 or min(every) < 1:
            return False
        counted = [_objects(mask.values) for case in self._sample() if (mask := case.mask()) is not None]
        regions = [n for found in counted for n in found.regions]
        if not regions or sum(n == 1 for n in regions) < _SINGLE * len(regions):
            return False
        gapless = all(not found or max(found) == len(found) for found in self.sets)
        many, differ = max(map(len, self.sets)), len({len(found) for found in self.sets}) > 1
        ordered, apart = all(found.ordered for found in counted), not any(found.touching for found in counted)
        if max(every) > 255 or (gapless and differ and many > 2) or (self.wide and (ordered or apart)):
            return True
        problem = f"each value of the masks ({', '.join(map(str, sorted(every)[:5]))}) is one region in an image"
        advice = "use --reader pairs:masks=instances if the values number objects"
        if gapless and apart:
            classes = proposed([0, *sorted(every)[:12]])
            raise DataError(
                f"{problem}, an object or a class", "", f"{advice}, or name the classes: --classes {classes}"
            )
        say(f"note: {problem}; {advice}")
        return False

    def _sample(self) -> list[Case]:
        step = max(1, len(self.data.cases) // _SAMPLE)
        return list(self.data.cases[::step])


@dataclass(frozen=True)
class _Objects:
    """The regions of each value of a mask: how many, whether values follow the order of pixels, whether any two touch."""

    regions: list[int]
    ordered: bool
    touching: bool


def _objects(values: NDArray[np.int64]) -> _Objects:
    stored, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    ranks = inverse.reshape(values.shape).astype(np.int32) + (1 if stored[0] else 0)  # 0 for the background
    regions = []
    for rank, box in enumerate(ndimage.find_objects(ranks), 1):
        if box is not None:
            regions.append(int(ndimage.label(ranks[box] == rank, np.ones((3, 3)))[1]))
    starts = first[stored != 0]
    inside = np.where(ranks > 0, ranks, np.iinfo(np.int32).max)
    low, high = ndimage.minimum_filter(inside, 3), ndimage.maximum_filter(ranks, 3)
    touching = bool(((low != high) & (ranks > 0)).any())
    return _Objects(regions, bool((np.diff(starts) > 0).all()), touching)


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
