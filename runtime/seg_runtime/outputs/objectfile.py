"""Base class of files of objects for other programs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from ..formats import Output, PageResult, Prepared, Source
from ..model import Contract
from ..support import ImageError


class ObjectFile(ABC):
    """A file of objects. Other packages add instances with entry points of the group `seg_edge.outputs`.

    Attributes:
        title: what errors call it, such as "a GeoJSON file".
        key: key in the record, see `formats.Output`.
        suffix: suffix of the file.
        volumes: whether it holds volumes.
        measured: whether it holds measures of the objects.
        packages: packages of the extra `objects` that write it.
    """

    title: ClassVar[str]
    key: ClassVar[str]
    suffix: ClassVar[str]
    volumes: ClassVar[bool] = False
    measured: ClassVar[bool] = False
    packages: ClassVar[tuple[str, ...]] = ()

    def output(self, name: str, source: Source, contract: Contract) -> Output:
        """Return the output for a source.

        Args:
            name: name of this object in the registry.
            source: the input.
            contract: contract of the model.

        Raises:
            ImageError: it cannot hold the objects of this source.
        """
        if not self.volumes and 3 in (source.format.axes, contract.geometry.axes):
            problem = f"{source.path} is a volume, which {self.title} cannot hold"
            raise ImageError(problem, "", f"use --save labels or --save ome-tiff instead of --save {name}")
        return Output(self.key, (self.suffix,), self.prepare)

    @abstractmethod
    def prepare(self, results: Sequence[PageResult], source: Source) -> Prepared:
        """Prepare the file, see `formats.Prepare`."""
