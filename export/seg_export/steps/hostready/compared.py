"""Figures of the host-ready form: its results and its objects beside those of the runtime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from seg_runtime import Array, Contract, ParityError
from seg_runtime.answers import answer_of, matched, unmatched

from .decisions import DECISIONS

TIES = 0.01  # fraction of the objects of both sides without a partner, because a watershed decides between equals
FEW = 2  # as many may have none in any case: one object that is divided otherwise


@dataclass
class _Counts:
    """What is counted of the compared images.

    Attributes:
        images: number of images.
        pixels: number of pixels.
        differing: number of pixels that differ.
        objects: number of objects of the runtime.
        unmatched: number of objects of either side without a partner on the other.
    """

    images: int = 0
    pixels: int = 0
    differing: int = 0
    objects: int = 0
    unmatched: int = 0


@dataclass
class Compared(_Counts):
    """Results of the host-ready form and of the runtime for whole images."""

    beyond: int = 0
    """Number of pixels that differ by more than `Decision.levels`."""

    def add(self, result: Array, wanted: Array, contract: Contract) -> None:
        """Compare the stitched results `(…, H, W)` for one image."""
        axes, answer = tuple(range(len(contract.answer.result_axes))), answer_of(contract)
        self.images += 1
        self.pixels += math.prod(wanted.shape[-2:])
        self.differing += int((result != wanted).any(axis=axes).sum())
        self.beyond += int(DECISIONS[contract.answer.kind].beyond(result, wanted).any(axis=axes).sum())
        if contract.answer.separated:
            ids, others = (answer.part(answer.whole(planes), "objects") for planes in (wanted, result))
            assert ids is not None
            assert others is not None
            self.objects += int(ids.max(initial=0))
            self.unmatched += unmatched(ids, others)

    def __str__(self) -> str:
        """All figures in words."""
        objects = f", {self.unmatched} of {self.objects} objects have no partner" if self.objects else ""
        return f"{self.differing} of {self.pixels} px differ on {self.images} images{objects}"

    def as_dict(self) -> dict[str, int]:
        """The figures for the contract."""
        return {
            "images": self.images,
            "pixels": self.pixels,
            "differing": self.differing,
            **({"objects": self.objects, "unmatched": self.unmatched} if self.objects else {}),
        }

    def require(self) -> None:
        """Check the limits.

        Raises:
            ParityError: if one is exceeded.
        """
        if self.beyond:
            problem = f"{self.beyond} of {self.pixels} px differ between the host-ready form and the runtime"
            raise ParityError(problem, "", "nothing was written; report this model")
        _require_partners(self.unmatched, self.objects if self.differing else 0)


@dataclass
class Grown(_Counts):
    """Objects that the growth graph and the runtime grow from the same planes.

    A pixel differs if it has another object or class, by ties in the order of the watershed.
    """

    def add(self, given: Sequence[Array], wanted: Sequence[Array]) -> None:
        """Compare ids and classes `(H, W)` for one image."""
        (ids, labels), (others, other_labels) = given, wanted
        alone, apart = matched(others, ids)
        self.images += 1
        self.pixels += others.size
        self.differing += max(apart, int((labels != other_labels).sum()))
        self.objects += int(others.max(initial=0))
        self.unmatched += alone

    def __str__(self) -> str:
        """All figures in words."""
        px = f"{self.differing} of {self.pixels} px differ from those of the runtime"
        return f"{px} on {self.images} images, {self.unmatched} of {self.objects} objects have no partner"

    def as_dict(self) -> dict[str, int]:
        """The figures for the contract."""
        return asdict(self)

    def require(self) -> None:
        """Check the limits.

        Raises:
            ParityError: if too many objects have no partner.
        """
        _require_partners(self.unmatched, self.objects)


def _require_partners(unmatched: int, objects: int) -> None:
    """Raise ParityError if more objects have no partner than ties explain among so many; 0 if there can be no ties."""
    allowed = max(FEW, int(TIES * 2 * objects)) if objects else 0
    if unmatched > allowed:
        problem = f"{unmatched} objects of the host-ready form and the runtime have no partner"
        raise ParityError(problem, f"at most {allowed}", "nothing was written; report this model")
