"""Read the files of a source, at once or page by page, and check that they do not change after they are hashed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..formats import FORMATS, Page, Source, acquired, read_bytes, stacked
from ..model import Contract
from ..support import ImageError


@dataclass(frozen=True)
class Loaded:
    """A source whose pages are in memory or are read on demand.

    Attributes:
        sha256: digest of the file's content; for several files, the digest of their digests.
        pages: the pages in order.
        count: number of pages.
        decode_ms: time to decode; None if the pages are read on demand.
    """

    sha256: str
    pages: Iterable[Page]
    count: int
    decode_ms: float | None


class Content:
    """The files of a source and their digests. The first file is kept in memory until its pages are read."""

    def __init__(self, source: Source) -> None:
        """Read and hash all files.

        Raises:
            ImageError: a file cannot be read.
        """
        self.source = source
        first = read_bytes(source.files[0])
        self._kept = {source.files[0]: first}
        self._digests = {path: _sha256(self._kept.get(path) or read_bytes(path)) for path in source.files}
        digests = list(self._digests.values())
        self.sha256 = digests[0] if len(digests) == 1 else _sha256("\n".join(digests).encode())

    def load(self, contract: Contract, max_pixels: int, spacing_mm: tuple[float, ...] = ()) -> Loaded:
        """Return the pages in the form that the model takes. Formats that are `deferred` are read page by page to save
        memory.

        Args:
            contract: contract of the model.
            max_pixels: refuse a file with more px.
            spacing_mm: see `Page.with_spacing`.
        """
        if self.source.channel_files:
            pages = self._joined(contract, max_pixels, spacing_mm)
        else:
            pages = (page.with_spacing(spacing_mm) for page in self._pages(contract, max_pixels))
        if self.source.format.deferred:
            self._kept.clear()
            count = self.source.pages if contract.geometry.axes == 2 and not self.source.channel_files else 1
            return Loaded(self.sha256, pages, count or 1, None)
        start = time.perf_counter()
        found = list(pages)
        return Loaded(self.sha256, found, len(found), (time.perf_counter() - start) * 1000)

    def _pages(self, contract: Contract, max_pixels: int) -> Iterator[Page]:
        for path in self.source.files:
            yield from FORMATS.pages(self._data(path), str(path), contract, max_pixels)

    def _data(self, path: Path) -> bytes:
        if path in self._kept:
            return self._kept.pop(path)
        data = read_bytes(path)
        if _sha256(data) != self._digests[path]:
            raise ImageError(f"{path} changed while it was read", "", "run it again")
        return data

    def _joined(self, contract: Contract, max_pixels: int, spacing_mm: tuple[float, ...]) -> Iterator[Page]:
        """Yield one page `(*spatial, C)` from files with one channel each."""
        pages: dict[Path, Page] = {}
        factors = [file.factor for file in self.source.channel_files]
        for path, factor in zip(self.source.files, factors, strict=True):
            found = FORMATS.pages(self._data(path), str(path), contract, max_pixels)
            pages[path] = next(found).with_spacing(tuple(side * factor for side in spacing_mm))
            if next(found, None) is not None:
                raise ImageError(f"{path} has several pages", "one channel per file", "split the stack")
        first = pages[self.source.files[factors.index(1)]]  # the others are enlarged to its size
        if odd := next((path for path, page in pages.items() if not first.place.same_as(page.place)), None):
            problem = f"{odd} and {Path(first.name).name} have different voxel grids"
            raise ImageError(problem, "", "resample one of them to the grid of the other")
        names = [page.name for page in pages.values()]
        array = stacked([page.array for page in pages.values()], names, self.source.channel_files)
        acquisition = acquired([page.acquisition for page in pages.values()], names, self.source.channel_files)
        name = str(self.source.files[0].parent / self.source.stem.name)
        yield Page(array, name, first.place, acquisition=acquisition)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
