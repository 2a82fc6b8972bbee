"""Images that occur twice: equal ones by their digest, nearly equal ones by their thumbnails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..data import Groups
from ..planning import CaseStatistics

_ALIKE = 0.95
"""Least correlation of the details of two thumbnails. Neighbouring sections of an electron microscope reach 0.65, fields of
cells 0.35, a JPEG of poor quality of the same noisy image 0.95; neighbouring slices of a CT reach 0.99."""
_ALIKE_OF_FEW = 0.99  # of fewer images, whose common details are not known
_CANDIDATE = 0.9  # least correlation of the coarse thumbnails
_COARSE = 4  # px of a thumbnail that make one of the coarse one
_REACH_PX = 9  # what is wider than this in a thumbnail, such as uneven light, is no detail
_LEAST_DETAIL = 0.05  # part of the spread of an image that must be in its details
_FEWEST_FOR_COMMON = (
    5  # images of which the details that all share, such as the edge of a round field of view, are removed
)
_SHARED = 0.6  # least correlation of most images with the details that all share
_BETTER = 0.2  # by which a mirrored or turned image must be more alike than as it is
_TILES = 4  # along each side of a thumbnail
_STILL = 0.75  # least correlation of a tile with that of the median image; neighbouring sections reach 0.65
_MOST_TILES = 0.85  # least share of the tiles that are so alike, if all images show one field
_OTHERS = 0.1  # share of the images that may be others
_MOST = 10_000  # images whose thumbnails are compared
_BLOCK = 512  # images that are compared with all others at a time


@dataclass(frozen=True)
class Copies:
    """Names of images that occur twice, in groups of two or more.

    Attributes:
        equal: images with equal pixels.
        similar: images that are nearly the same; a group may be a chain, in which each image is like the next one.
        one_field: whether all images are alike everywhere, as images of one field with other noise are.
    """

    equal: list[list[str]]
    similar: list[list[str]]
    one_field: bool = False

    @classmethod
    def of(cls, cases: Sequence[CaseStatistics]) -> Copies:
        """Compare all images with all others."""
        first = list({case.digest: case for case in cases}.values())  # images with equal pixels count once
        if not 2 <= len(first) <= _MOST:
            return cls(_equal(cases), [])
        fine = np.stack([case.look.thumbnail.astype(np.float32) for case in first])
        details = _details(fine, _REACH_PX)
        joined = Groups().merged([(first[i].name, first[j].name) for i, j in _similar(fine, details)])
        similar = [part for part in joined.parts([case.name for case in first]) if len(part) > 1]
        return cls(_equal(cases), similar, _is_one_field(details))


def _equal(cases: Sequence[CaseStatistics]) -> list[list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for case in cases:
        found[case.digest].append(case.name)
    return [names for names in found.values() if len(names) > 1]


def _similar(fine: NDArray[np.float32], details: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Compare thumbnails in all poses, and return the places of those that are alike."""
    least = _ALIKE if len(fine) >= _FEWEST_FOR_COMMON else _ALIKE_OF_FEW
    coarse = _details(_reduced(fine), _REACH_PX // 2)
    pairs: set[tuple[int, int]] = set()
    for pose, (turned, turned_coarse) in enumerate(zip(_poses(details), _poses(coarse), strict=True)):
        for start in range(0, len(fine), _BLOCK):
            like = _flat(coarse[start : start + _BLOCK]) @ _flat(turned_coarse).T
            one, other = np.nonzero(like >= _CANDIDATE)
            one = one + start
            one, other = one[one < other], other[one < other]
            exact = _products(details[one], turned[other])
            alike = exact >= least
            if pose:  # else a round field of view would make all images mirrored copies of each other
                alike &= exact >= _products(details[one], details[other]) + _BETTER
            pairs |= set(zip(one[alike].tolist(), other[alike].tolist(), strict=True))
        if pose == 0:
            pairs = _without_common(pairs, details, least)
    return sorted(pairs)


def _without_common(pairs: set[tuple[int, int]], details: NDArray[np.float32], least: float) -> set[tuple[int, int]]:
    """Keep the pairs that are alike without the details that all images share, such as the edge of a field of view."""
    common = np.median(details, axis=0)
    common /= max(float(np.linalg.norm(common)), 1e-12)
    along = (details * common).sum(axis=(1, 2), keepdims=True)
    if not pairs or len(details) < _FEWEST_FOR_COMMON or np.median(along) < _SHARED:
        return pairs
    own = details - along * common
    own /= np.maximum(np.sqrt((own**2).sum(axis=(1, 2), keepdims=True)), 1e-12)
    one, other = np.array(sorted(pairs)).T
    alike = _products(own[one], own[other]) >= least
    return set(zip(one[alike].tolist(), other[alike].tolist(), strict=True))


def _is_one_field(details: NDArray[np.float32]) -> bool:
    """Whether nearly all images have the same details in nearly all tiles; the edge of a field of view leaves its middle free."""
    if len(details) < _FEWEST_FOR_COMMON:
        return False
    tiles, side = _TILES, details.shape[1] // _TILES

    def tiled(array: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = array.reshape(-1, tiles, side, tiles, side).swapaxes(2, 3).reshape(-1, tiles**2, side**2)
        return np.asarray(parts / np.maximum(np.linalg.norm(parts, axis=2, keepdims=True), 1e-12))

    alike = (tiled(details) * tiled(np.median(details, axis=0))).sum(axis=2)  # (N, tiles²)
    still = np.quantile(alike, _OTHERS, axis=0) >= _STILL
    return bool(still.mean() >= _MOST_TILES)


def _products(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("nij,nij->n", one, other))


def _reduced(fine: NDArray[np.float32]) -> NDArray[np.float32]:
    side = fine.shape[1] // _COARSE
    return np.asarray(fine.reshape(-1, side, _COARSE, side, _COARSE).mean(axis=(2, 4)), np.float32)


def _details(thumbnails: NDArray[np.float32], reach_px: int) -> NDArray[np.float32]:
    """Remove what is wide from thumbnails `(N, S, S)`, and scale each to a sum of squares of 1; flat ones become 0."""
    wide = np.stack([ndimage.uniform_filter(thumbnail, reach_px, mode="nearest") for thumbnail in thumbnails])
    details = thumbnails - wide
    details -= details.mean(axis=(1, 2), keepdims=True)
    size = np.sqrt((details**2).sum(axis=(1, 2), keepdims=True))
    enough = size > _LEAST_DETAIL * thumbnails.shape[1]
    return np.where(enough, details / np.where(enough, size, 1), 0).astype(np.float32)


def _poses(thumbnails: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """All eight turns and mirrorings of thumbnails `(N, S, S)`."""
    sides = (thumbnails, thumbnails[:, :, ::-1])
    return [np.rot90(side, quarter, axes=(1, 2)) for side in sides for quarter in range(4)]


def _flat(thumbnails: NDArray[np.float32]) -> NDArray[np.float32]:
    return thumbnails.reshape(len(thumbnails), -1)
