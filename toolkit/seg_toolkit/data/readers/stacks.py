"""The ISBI 2012 challenge's layout: two TIFF stacks, the page of one the truth of the other's.

train-volume.tif     30 pages of 512×512, 8 bits: serial sections of a ventral nerve cord
train-labels.tif     as many: 0 the membranes, 255 the inside of cells
test-volume.tif      without public truth; not looked at
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from seg_runtime.formats import read_bytes
from seg_runtime.formats.pictures import Pages
from seg_runtime.pipeline import Array
from seg_runtime.support.errors import DataError

from ..case import Case, Example
from ..folder import ClassValues, to_labels

VOLUME, LABELS = "train-volume.tif", "train-labels.tif"
LAYOUT = f"{VOLUME} and {LABELS}, stacks of as many pages"


@dataclass(frozen=True)
class PageCase(Case):
    """A page of a stack, with the page of another one as its mask."""

    name: str
    image_file: Path
    mask_file: Path
    page: int

    def image(self) -> Array:
        """`(H, W, C)`."""
        return _page(self.image_file, self.page, indices=False)

    def values(self) -> dict[int, str]:
        """Of the mask."""
        return {int(v): f"{self.mask_file} page {self.page + 1}" for v in np.unique(self._mask())}

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Image and ground truth; see `Case.read`."""
        labels = to_labels(self._mask(), classes, f"{self.mask_file} page {self.page + 1}")
        return Example(self.image(), labels).checked(self.name)

    def _mask(self) -> NDArray[np.int64]:
        return _page(self.mask_file, self.page, indices=True)[..., 0].astype(np.int64)


def find_stacks(root: Path, report: Callable[[str], None]) -> list[PageCase]:
    """A case a page.

    Raises:
        DataError: a stack is missing, or they have different numbers of pages.
        ImageError: a stack cannot be read.
    """
    for file in (VOLUME, LABELS):
        if not (root / file).is_file():
            raise DataError(f"{root} has no {file}", LAYOUT, "point to the folder that holds them")
    pages, masks = (len(opened_stack(root / file, indices=file == LABELS)) for file in (VOLUME, LABELS))
    if pages != masks:
        raise DataError(f"{root / VOLUME} has {pages} pages, {LABELS} {masks}", LAYOUT, "take both of one set")
    digits = max(2, len(str(pages - 1)))
    return [PageCase(f"page{n:0{digits}}", root / VOLUME, root / LABELS, n) for n in range(pages)]


def _page(path: Path, page: int, indices: bool) -> Array:
    pages = opened_stack(path, indices)
    if page >= len(pages):
        raise DataError(f"{path} has no page {page + 1}", "the pages that it had", "do not change it meanwhile")
    return pages[page]


def opened_stack(path: Path, indices: bool = False) -> Pages:
    """Kept by each process: to find page n anew takes all pages before it."""
    try:
        now = path.stat()
    except OSError:
        return Pages(read_bytes(path), str(path), indices=indices)  # which says what is wrong
    return _opened(path, (now.st_mtime_ns, now.st_size), indices)


@lru_cache(maxsize=32)
def _opened(path: Path, stamp: tuple[int, int], indices: bool) -> Pages:
    return Pages(read_bytes(path), str(path), indices=indices)
