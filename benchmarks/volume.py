"""Memory of a large volume: `python -m benchmarks.volume [--shape 300,512,512] [--json FILE]`.

Writes a generated int16 CT as .nii.gz, runs `seg-run` on it in a separate process with a small model of volumes and a
small model of slices, and prints the peak memory of that process (VmHWM). The goal is below 2 GB. Large networks need
additional memory for their feature maps: the 3D U-Net of width 32 takes gigabytes for a window of 116×132×132.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import torch
from seg_export.pipeline import export, write
from seg_runtime.model import ClassInfo, Contract, Geometry, Input, Intensity, LabelSpec
from seg_toolkit.checkpoints import Checkpoint
from seg_toolkit.networks import Network
from seg_toolkit.networks.unet import UNet
from seg_toolkit.networks.unet3d import UNet3D

from .measure import machine, save_json, table

GOAL_GB = 2.0
CHILD = """
import sys
from seg_runtime.cli.run import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
status = open("/proc/self/status").read()
print(status.split("VmHWM:")[1].split()[0])
"""


def write_scan(path: Path, shape: tuple[int, int, int]) -> None:
    """Write a CT `(D, H, W)` of noise and a gradient, stored as int16."""
    rng = np.random.default_rng(0)
    scan = np.empty(shape[::-1], np.int16, order="F")
    for place in range(shape[0]):
        scan[..., place] = rng.normal(40 + place, 60, shape[:0:-1])
    nibabel.save(nibabel.Nifti1Image(scan, np.diag([-0.8, -0.8, 2.5, 1])), path)


def models(folder: Path) -> dict[str, Path]:
    """Make small random networks, one for volumes and one for slices."""
    made: dict[str, Path] = {}
    networks: tuple[tuple[Network, tuple[int, ...]], ...] = (
        (UNet3D(1, 2, 1, depth=1), (60, 60, 60)),
        (UNet(1, 2, 2, depth=2), (552, 552)),
    )
    for network, window in networks:
        contract = Contract(
            Input(1, Intensity("window", level=40, width=400), pixels="float"),
            Geometry(window, network.output_shape(window), stride=network.stride),
            LabelSpec((ClassInfo("background", (0, 0, 0)), ClassInfo("thing", (230, 60, 60)))),
        )
        made[network.kind] = folder / f"{network.kind}.onnx"
        write(export(Checkpoint(network.described, network.state_dict(), contract)), made[network.kind])
    return made


def peak_gb(model: Path, scan: Path, out: Path, *options: str) -> tuple[float, float]:
    """Measure peak memory in GB and seconds of one `seg-run`."""
    words = ["--model", str(model), "--provider", "cpu", "--out", str(out), *options, str(scan)]
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", CHILD, *words], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) * 1024 / 1e9, time.perf_counter() - start


def measure(shape: tuple[int, int, int]) -> list[dict[str, object]]:
    """Measure a row for each model, with an overlay, which keeps the image until the end."""
    torch.manual_seed(0)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scan(folder / "scan.nii.gz", shape)
        for kind, model in models(folder).items():
            gb, seconds = peak_gb(model, folder / "scan.nii.gz", folder / kind, "--overlay")
            rows.append({"network": kind, "peak_gb": gb, "seconds": seconds})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", default="300,512,512", help="D,H,W")
    parser.add_argument("--json")
    asked = parser.parse_args()
    depth, height, width = (int(n) for n in asked.shape.split(","))
    rows = measure((depth, height, width))
    print(f"{width}×{height}×{depth} int16, {machine()}")
    cells = [[str(r["network"]), f"{r['peak_gb']:.2f}", f"{r['seconds']:.0f}"] for r in rows]
    print(table(("network", "peak GB (VmHWM)", "seconds"), cells))
    save_json(asked.json, {"machine": machine(), "shape": [depth, height, width], "goal_gb": GOAL_GB, "rows": rows})


if __name__ == "__main__":
    main()
