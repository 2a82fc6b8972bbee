from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from seg_runtime import Intensity

from tests.support import commands
from tests.support.models import Made, MakeModel

SegRun = Callable[..., Result]
HU = Intensity("window", level=0, width=2000)


@pytest.fixture(scope="session")
def ct_model(make_model: MakeModel) -> Made:
    """1 channel, 4 classes, a window in HU."""
    return make_model(channels=1, classes=4, intensity=HU)


@pytest.fixture(scope="session")
def any_model(make_model: MakeModel) -> Made:
    """3 channels, to which grey is spread; a window, which takes any dtype."""
    return make_model(channels=3, classes=3, intensity=HU)


@pytest.fixture
def seg_run(tmp_path: Path) -> SegRun:
    """`seg-run` in this process, results in `tmp_path / "out"`; what is no error line comes out as an exception."""

    def call(model: Made, *arguments: str | Path) -> Result:
        words = ["--model", model.path, "--provider", "cpu", "--threads", "1", "--out", tmp_path / "out", *arguments]
        return commands.seg_run(*words)

    return call
