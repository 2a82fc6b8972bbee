"""Reader of the ISBI 2012 challenge: one TIFF stack of images and one of masks, page by page.

train-volume.tif     30 pages of 512×512, 8 bits: serial sections of a ventral nerve cord
train-labels.tif     30 pages: 0 membranes, 255 inside of cells
test-volume.tif      without public ground truth; ignored
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from seg_runtime.model import Acquisition
from seg_runtime.support import DataError

from .. import (
    Case,
    ClassValues,
    DataSet,
    Example,
    Mask,
    Report,
    acquisition_of,
    page_count,
    read_page,
    reads,
    to_labels,
)

_VOLUME, _LABELS = "train-volume.tif", "train-labels.tif"
_LAYOUT = f"{_VOLUME} and {_LABELS}, stacks with equal numbers of pages"


@dataclass(frozen=True)
class _PageCase(Case):
    """A page of a stack, with the same page of another stack as its mask."""

    name: str
    image_file: Path
    mask_file: Path
    page: int

    def image(self) -> NDArray[Any]:
        """Read the image `(H, W, C)`."""
        return read_page(self.image_file, self.page)

    def acquisition(self) -> Acquisition:
        """Read how the image was acquired."""
        return acquisition_of(self.image_file)

    def values(self) -> dict[int, str]:
        """Values of the mask."""
        return {int(v): self._title for v in np.unique(self._mask())}

    def mask(self, colours: bool = False) -> Mask:
        """Read the mask as it is stored; a palette gives indices."""
        return Mask(self._mask(), self._title)

    def read(self, classes: Sequence[ClassValues]) -> Example:
        """Read image and ground truth; see `Case.read`."""
        return Example(self.image(), to_labels(self._mask(), classes, self._title)).checked(self.name)

    def _mask(self) -> NDArray[np.int64]:
        return read_page(self.mask_file, self.page, indices=True)[..., 0].astype(np.int64)

    @property
    def _title(self) -> str:
        return f"{self.mask_file} page {self.page + 1}"


def _fits_stacks(root: Path) -> bool:
    """Whether a folder has both stacks."""
    return all((root / name).is_file() for name in (_VOLUME, _LABELS))


@reads(_fits_stacks)
def find_stacks(root: Path, report: Report) -> DataSet:
    """Make a case for each page.

    Raises:
        DataError: if a stack is missing, or the stacks have different numbers of pages.
        ImageError: if a stack cannot be read.
    """
    image, mask = root / _VOLUME, root / _LABELS
    for file in (image, mask):
        if not file.is_file():
            raise DataError(f"{root} has no {file.name}", _LAYOUT, "give the folder that contains both")
    pages, masks = page_count(image), page_count(mask, indices=True)
    if pages != masks:
        raise DataError(f"{image} has {pages} pages, {_LABELS} {masks}", _LAYOUT, "use both of the same set")
    digits = max(2, len(str(pages - 1)))
    return DataSet(tuple(_PageCase(f"page{n:0{digits}}", image, mask, n) for n in range(pages)))
