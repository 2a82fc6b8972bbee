"""A model that the commands of the toolkit take."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from seg_toolkit.checkpoints import Checkpoint, save
from seg_toolkit.networks.unet import UNet

from tests.support.contracts import contract
from tests.support.folders import TWO


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A checkpoint of a network with random weights."""
    torch.manual_seed(0)
    net = UNet(1, 2, width=1)
    path = tmp_path / "random.pt"
    save(Checkpoint(net.described, net.state_dict(), contract(method="fit"), TWO), path)
    return path
