from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.support.places import SAMPLES


@pytest.fixture(scope="session")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five generated fields of 64×64 px with masks and instances; read-only by agreement."""
    spec = importlib.util.spec_from_file_location("sample_cells", SAMPLES / "cells.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    root = tmp_path_factory.mktemp("cells")
    module.write_folder(root, count=5, size=64, seed=0)
    return root
