"""A reader of CCP4/MRC2014 maps beside gemmi's."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from seg_runtime.pipeline import Array


def by_the_standard(path: Path) -> tuple[Array, Array, float, int]:
    """Values `(z, y, x)`, the first one's x, y, z in Å, the distance between them and the mode, read as MRC2014 says."""
    data = path.read_bytes()
    nx, ny, nz, mode, *start = struct.unpack_from("<7i", data, 0)
    mx, my, mz = struct.unpack_from("<3i", data, 28)
    cell = np.array(struct.unpack_from("<6f", data, 40))
    assert struct.unpack_from("<3i", data, 64) == (1, 2, 3)
    assert data[208:212] == b"MAP "
    assert struct.unpack_from("<3f", data, 196) == (0, 0, 0)  # ORIGIN
    assert cell[3:].tolist() == [90, 90, 90]
    steps = cell[:3] / (mx, my, mz)
    assert np.ptp(steps) < 1e-6
    offset = 1024 + struct.unpack_from("<i", data, 92)[0]
    values = np.frombuffer(data, {0: np.int8, 1: np.int16, 2: np.float32}[mode], offset=offset)
    return values.reshape(nz, ny, nx), np.array(start) * steps, float(steps[0]), mode
