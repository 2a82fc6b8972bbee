"""One image by one form in a process of its own, for its peak memory: `python -m tests.benchmarks.one FORM FILE THREADS`.

Run by `speed`; the folder of FILE holds the contract and `window.png`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from seg_runtime.contract import Contract

from .speed_rows import FORMS


def main() -> None:
    """Read, segment, write."""
    key, path, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    contract = Contract.from_json((path.parent / "contract.json").read_text())
    running = FORMS[key].open(path, contract, threads)
    pixels = np.asarray(Image.open(path.parent / "window.png"))
    labels = running.labels(pixels.reshape(*pixels.shape[:2], -1))
    Image.fromarray(labels * np.uint8(255)).save(path.parent / "one.png")


if __name__ == "__main__":
    main()
