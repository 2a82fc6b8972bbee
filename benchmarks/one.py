"""Peak memory of a peer, on one image in a separate process: `python -m benchmarks.one PEER FILE THREADS`.

It is run by `speed`. The folder of FILE contains the contract and `window.png`. Only packages of the peer are imported.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from seg_runtime.model import Contract

from .peers import PEERS


def main() -> None:
    """Read, segment and write the image."""
    key, path, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    contract = Contract.from_json((path.parent / "contract.json").read_text())
    peer = next(form for form in PEERS if form.key == key)
    running = peer.open(path, contract, threads)
    pixels = np.asarray(Image.open(path.parent / "window.png"))
    labels = running.labels(pixels.reshape(*pixels.shape[:2], -1), None)
    Image.fromarray(labels * np.uint8(255)).save(path.parent / "one.png")


if __name__ == "__main__":
    main()
