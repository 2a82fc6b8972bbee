"""What is suspicious in images and masks that can be read: one function for each kind, from their statistics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from seg_runtime.support import counted, described_length, named

from ..data import Groups, proposed_group, sized
from ..planning import MOST_CONTRADICTED, POSES, CaseStatistics, DataStatistics
from .copies import Copies
from .finding import Finding

OF_CLASSES = ("one-class", "empty-mask", "rare-class")
"""Kinds of findings that depend on the right classes."""
_FEWEST_IMAGES = 3  # with a class, so that training and validation can both have some
_SHOWN = 5  # names of a group of copies, and groups; at least as many as a sentence shows
_FEWEST_ALIKE = 5  # images from which one can say what is usual
_USUAL = 0.8  # least share of the images that are alike, so that others are unlike the rest
_LARGER = 4.0  # factor of the side of an image
_COARSER = 2.0  # factor of the pixel size
_ANOTHER_UNIT = 100.0  # factor of the pixel size that no objective makes
_CONTRAST = 0.3  # least difference between foreground and background, in spreads of the image
_FIT = 1.25  # least gradient along the outlines in another pose, its mean over the image being 1
_BETTER, _FAR_BETTER = 1.25, 2.0  # that gradient, compared with the one along the outlines of the mask as it is
_NO_FIT = 1.2  # most of the latter, if the other is not far better
_SCATTERED = 0.1  # most objects of several pieces
_LONG_PX = 4000  # outlines from which a small difference is no chance


def find_oddities(statistics: DataStatistics, copies: Copies) -> list[Finding]:
    """Find what is suspicious, the worst first."""
    found = [finding for look in _LOOKS for finding in look(statistics)]
    return sorted([*found, *_twice(statistics, copies)], key=lambda finding: not finding.fatal)


def _classes(statistics: DataStatistics) -> Iterator[Finding]:
    """Masks without objects, and classes that are rare."""
    if not statistics.classes or not statistics.cases:
        return
    present = np.array([case.pixels > 0 for case in statistics.cases])  # (N, K)
    names = [entry.info.name for entry in statistics.classes]
    if len(there := np.flatnonzero(present.any(axis=0))) == 1:
        only = names[int(there[0])]
        text = "all masks are empty" if there[0] == 0 else f"all masks contain only {only}"
        yield Finding(
            "one-class", f"{text}, so a network can learn nothing", "check the masks, and --classes", fatal=True
        )
        return
    empty = [case.name for case, here in zip(statistics.cases, present, strict=True) if not here[1:].any()]
    if empty:
        it, what = ("it", "the image really shows") if len(empty) == 1 else ("them", "the images really show")
        yield Finding(
            "empty-mask", f"{counted(len(empty), 'mask')} of {len(present)} {'is' if len(empty) == 1 else 'are'} empty",
            f"annotate {it}, or leave {it} if {what} no object", tuple(empty),
        )  # fmt: skip
    if len(present) < _FEWEST_IMAGES:
        return
    for name, here in zip(names, present.T, strict=True):
        if 0 < here.sum() < _FEWEST_IMAGES:
            where = tuple(case.name for case, one in zip(statistics.cases, here, strict=True) if one)
            text = f"the class {name} occurs in {counted(len(where), 'image')} only"
            yield Finding("rare-class", text, "annotate more images with it, or join it with another class", where)


def _twice(statistics: DataStatistics, copies: Copies) -> Iterator[Finding]:
    """Copies of an image."""
    every = _names(statistics.cases)
    one = len(Groups().merged([*copies.equal, *copies.similar]).parts(every)) == 1
    if copies.one_field and not one:
        text = "all images look like one field, so the score says nothing about other fields"
        advice = "add images of other fields, or leave it if only a pattern or the surroundings are the same"
        yield Finding("one-field", text, advice)
    for kind, groups in (("copies", copies.equal), ("similar", copies.similar)):
        if not groups:
            continue
        shown = "; ".join(
            " = ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "") for names in groups[:_SHOWN]
        )
        where = f"({shown}{f'; {len(groups) - _SHOWN} more' if len(groups) > _SHOWN else ''})"
        advice = "remove copies" + (
            "" if len(groups[0]) == len(every) else "; the training keeps them on one side of the split"
        )
        if kind == "copies":
            text = f"{counted(len(groups), 'image')} {_have(groups)} several names {where}"
        elif one:  # which no split can part
            text, advice = (
                "all images are nearly the same, so the score says nothing about other images",
                "add other images",
            )
        else:
            text = f"some images are nearly the same, as copies and neighbours in space or time are {where}"
        yield Finding(kind, text, advice, tuple(name for names in groups for name in names))


def _sources(statistics: DataStatistics) -> Iterator[Finding]:
    """Names that look like time points or tiles of several sources."""
    if proposal := proposed_group([case.name for case in statistics.cases]):
        pattern, groups = proposal
        sources = groups.parts([case.name for case in statistics.cases])
        text = f"the names look like several images of each of {counted(len(sources), 'source')}, such as {named(sources[0])}"
        yield Finding("sources", text, f"keep each source on one side of the split with --group '{pattern}'")


def _kinds(statistics: DataStatistics) -> Iterator[Finding]:
    """Images of another kind than most."""
    figures: tuple[tuple[str, str, Callable[[CaseStatistics], object]], ...] = (
        ("channels", "another number of channels", lambda case: case.channels),
        ("dtype", "another number type", lambda case: case.dtype),
        ("dimensions", "another number of dimensions", lambda case: len(case.shape)),
    )
    for kind, what, figure in figures:
        usual, _ = Counter(figure(case) for case in statistics.cases).most_common(1)[0]
        others = [case for case in statistics.cases if figure(case) != usual]
        if others:
            values = named(sorted({str(figure(case)) for case in others}))
            text = f"{counted(len(others), 'image')} of {len(statistics.cases)} {_have(others)} {what} ({values}; most have {usual})"
            yield Finding(
                kind,
                text,
                "convert it, or train without it" if len(others) == 1 else "convert them, or train them apart",
                _names(others),
            )


def _sizes(statistics: DataStatistics) -> Iterator[Finding]:
    """Images and pixels of another size than most."""
    if len(statistics.cases) < _FEWEST_IMAGES:
        return
    sides = np.array([np.prod(case.shape) ** (1 / len(case.shape)) for case in statistics.cases])
    ratio = sides / np.median(sides)
    if others := _where(statistics, (ratio >= _LARGER) | (ratio <= 1 / _LARGER)):
        sizes = named(sorted({sized(case.shape) for case in others}))
        text = f"{counted(len(others), 'image')} {_have(others)} a very different size ({sizes})"
        yield Finding("size", text, "check that all show the same magnification", _names(others))
    yield from _pixel_sizes(statistics)


def _pixel_sizes(statistics: DataStatistics) -> Iterator[Finding]:
    """Pixels of another size than most, of an unknown size, or in another unit."""
    known = [case for case in statistics.cases if case.acquisition.spacing_mm]
    unknown = [case for case in statistics.cases if not case.acquisition.spacing_mm]
    if not known:
        return
    if unknown:
        doubt = next((f" ({case.acquisition.spacing_doubt})" for case in unknown if case.acquisition.spacing_doubt), "")
        text = f"{counted(len(unknown), 'image')} {'states' if len(unknown) == 1 else 'state'} no pixel size{doubt}, unlike the others"
        yield Finding("pixel-size", text, "if all have one size, give it with --pixel-size", _names(unknown))
    spacing = _spacings(known)
    usual = np.nanmedian(spacing, axis=0)
    factor = np.exp(np.nan_to_num(np.abs(np.log(spacing / usual))))  # 1 where a side is unknown
    if wrong := [case for case, sides in zip(known, factor, strict=True) if sides.max() >= _ANOTHER_UNIT]:
        row = int((factor >= _ANOTHER_UNIT).any(axis=1).argmax())
        axis = int(factor[row].argmax())
        size, most = described_length(float(spacing[row, axis])), described_length(float(usual[axis]))
        what = "distance of slices" if len(usual) == 3 and not axis else "pixel size"
        text = f"{counted(len(wrong), 'image')} {_have(wrong)} a {what} of {size}, while most have {most}"
        advice = "correct the unit in the files, or give one size for all with --pixel-size"
        yield Finding("pixel-size", text, advice, _names(wrong), fatal=True)
    others = [case for case, sides in zip(known, factor, strict=True) if sides.max() >= _COARSER]
    if others and not wrong and len(known) >= _FEWEST_IMAGES:
        text = f"{counted(len(others), 'image')} {_have(others)} another pixel size than the others"
        yield Finding("pixel-size", text, "resample the images to one pixel size", _names(others))


def _spacings(cases: Sequence[CaseStatistics]) -> NDArray[np.float64]:
    """Return the sides of the pixels of each image in mm, `(N, axes)`; NaN if one is unknown."""
    sides = [case.acquisition.spacing_mm[-len(case.shape) :] for case in cases]
    axes = max(map(len, sides))
    return np.array([(*[np.nan] * (axes - len(known)), *known) for known in sides])


def _grey_values(statistics: DataStatistics) -> Iterator[Finding]:
    """Images that are uniform, or inverted against the others."""
    if flat := [case for case in statistics.cases if not max(case.std) > 0]:
        text = f"{counted(len(flat), 'image')} {_have(flat)} one grey value everywhere"
        yield Finding("constant", text, "leave it out" if len(flat) == 1 else "leave them out", _names(flat))
    contrasts = np.array([np.nan if case.look.contrast is None else case.look.contrast for case in statistics.cases])
    clear = contrasts[np.abs(contrasts) > _CONTRAST]
    if len(clear) < _FEWEST_ALIKE or max((clear > 0).mean(), (clear < 0).mean()) < _USUAL:
        return
    usual = 1 if (clear > 0).mean() > 0.5 else -1
    turned = {case.name for cases in _turned(statistics).values() for case in cases}
    if others := [case for case in _where(statistics, usual * contrasts < -_CONTRAST) if case.name not in turned]:
        text = f"in {counted(len(others), 'image')} the objects are {'darker' if usual > 0 else 'brighter'} than the background, unlike in the others"
        one = len(others) == 1
        what = (
            "the image or its mask, or check that it belongs"
            if one
            else "the images or their masks, or check that they belong"
        )
        yield Finding("inverted", text, f"invert {what} to this set", _names(others))


def _instances(statistics: DataStatistics) -> Iterator[Finding]:
    """Ids that contradict the masks, that number classes, not objects, or that were interpolated."""
    known = [case for case in statistics.cases if case.objects]
    if wrong := [case for case in known if case.objects and case.objects.contradicted > MOST_CONTRADICTED]:
        share = max(case.objects.contradicted for case in wrong if case.objects)
        text = f"the instances of {counted(len(wrong), 'image')} contradict the masks, in up to {share:.0%} of their pixels"
        advice = "correct the masks or the instances, or a training of objects is refused"
        yield Finding("contradicted", text, advice, _names(wrong))  # classes may be learned all the same
    ids = [len(case.objects.areas) if case.objects else 0 for case in known]
    scattered = [case.objects.scattered if case.objects else 0 for case in known]
    if sum(scattered) > _SCATTERED * sum(ids):
        text = (
            f"{sum(scattered)} of {sum(ids)} objects consist of several pieces, so the ids may not be those of objects"
        )
        advice = "give each object an id of its own, and resize images of ids without interpolation"
        yield Finding("scattered", text, advice, tuple(c.name for c, n in zip(known, scattered, strict=True) if n))


def _turned(statistics: DataStatistics) -> dict[int, list[CaseStatistics]]:
    """Cases whose outlines follow the image only in another pose, by the place of the pose in `POSES`."""
    turned: defaultdict[int, list[CaseStatistics]] = defaultdict(list)
    measured = [case for case in statistics.cases if len(case.look.fits) > 1]
    for case in measured:
        fits, best = case.look.fits, int(np.argmax(case.look.fits))
        certain = fits[0] < _NO_FIT and case.look.outline_px >= _LONG_PX
        needed = _BETTER if certain else _FAR_BETTER
        if fits[best] >= max(_FIT, needed * fits[0]):
            turned[best].append(case)
    for pose, cases in turned.items():
        if 2 * len(cases) > len(measured):  # all are turned, also those whose outlines fit by chance
            turned[pose] = [case for case in measured if int(np.argmax(case.look.fits)) == pose]
    return dict(sorted(turned.items()))


def _poses(statistics: DataStatistics) -> Iterator[Finding]:
    """Masks that are turned or mirrored."""
    for pose, cases in _turned(statistics).items():
        text = f"{counted(len(cases), 'mask')} {'fits its image' if len(cases) == 1 else 'fit their images'} better if {POSES[pose]}"
        advice = f"look at the outlines on the page of seg-edge check -o, and save {'the mask' if len(cases) == 1 else 'the masks'} again"
        yield Finding("orientation", text, advice, _names(cases))


_LOOKS = (_classes, _instances, _poses, _kinds, _sizes, _grey_values, _sources)


def _where(statistics: DataStatistics, chosen: NDArray[np.bool_]) -> list[CaseStatistics]:
    return [case for case, one in zip(statistics.cases, chosen, strict=True) if one]


def _names(cases: Sequence[CaseStatistics]) -> tuple[str, ...]:
    return tuple(case.name for case in cases)


def _have(things: Sequence[object]) -> str:
    return "has" if len(things) == 1 else "have"
