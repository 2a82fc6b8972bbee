"""Which format a file has, when other packages offer formats too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from seg_runtime.formats import FORMATS, Format, Output, Page, ReadOptions, Source

from tests.support.pictures import tiff


class Stubborn(Format):
    """Raises for whatever is shown to it."""

    title = "a stubborn file"
    suffixes = (".stubborn",)

    def recognises(self, head: bytes) -> bool:
        raise IndexError("the head is shorter than expected")

    def read(self, data: bytes, name: str, options: ReadOptions) -> Iterator[Page]:
        yield Page(np.zeros((1, 1, 1), np.uint8), name)

    def outputs(self, data: str, source: Source) -> Mapping[str, Output]:
        return {}


def test_a_format_that_raises_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FORMATS, "own", {"stubborn": Stubborn(), **FORMATS.own})
    assert FORMATS.of(tiff([np.zeros((2, 2, 1), np.uint8)]), "a.tif") is FORMATS.get("picture")
    assert FORMATS.of(b"", "a.stubborn") is FORMATS.get("stubborn")
