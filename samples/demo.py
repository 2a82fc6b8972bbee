"""The usual way in a few minutes: sample cells, training, export with parity, and a picture that the training never saw."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from cells import write_folder
from PIL import Image

OUT = Path("demo-out")
GOAL = 0.90  # Dice on the unseen picture


def main() -> None:
    """Run the commands as a user would and judge the result; exit 1 below the goal."""
    start = time.perf_counter()
    write_folder(OUT / "training", count=24, size=256, seed=1)
    write_folder(OUT / "unseen", count=1, size=700, seed=99)
    model, graph = OUT / "model.pt", OUT / "model.onnx"
    picture = OUT / "unseen" / "images" / "000.png"
    _command("seg-edge", "train", OUT / "training", "-o", model, "--width", 8, "--steps", 80, "--overwrite")
    _command("seg-edge", "export", model, graph, "--images", OUT / "training")
    _command("seg-edge", "run", "--model", graph, "--out", OUT / "result", "--overlay", "--overwrite", picture)

    mask, truth = (
        np.asarray(Image.open(p)) > 0 for p in (OUT / "result" / "000_mask.png", OUT / "unseen" / "masks" / "000.png")
    )
    dice = 2 * (mask & truth).sum() / (mask.sum() + truth.sum())
    record = json.loads((OUT / "result" / "000.json").read_text())
    overlay = OUT / "result" / record["outputs"]["overlay"]
    beside = OUT / "result" / "side-by-side.png"
    _side_by_side(picture, overlay, beside)
    seconds = time.perf_counter() - start
    print(f"\nDice {dice:.4f} on a picture that the training never saw (goal {GOAL}), {seconds:.0f} s in all")
    print("\nLook at these files:")
    print(f"picture  {beside}")
    print(f"overlay  {overlay}")
    print(f"mask     {OUT / 'result' / record['outputs']['mask']}")
    print(f"record   {OUT / 'result' / '000.json'}")
    print("\nNext, test this device with the model:")
    print(f"    source .venv/bin/activate && seg-edge self-test {graph}")
    if not dice >= GOAL:
        sys.exit(f"error: Dice {dice:.4f}; expected at least {GOAL}.")


def _side_by_side(image: Path, overlay: Path, target: Path) -> None:
    """Write the upper left part of an image and of its overlay next to each other."""
    side = 420
    left, right = (Image.open(p).convert("RGB") for p in (image, overlay))
    sheet = Image.new("RGB", (2 * side + 12, side), (255, 255, 255))
    sheet.paste(left.crop((0, 0, side, side)), (0, 0))
    sheet.paste(right.crop((0, 0, side, side)), (side + 12, 0))
    sheet.save(target)


def _command(name: str, *arguments: object) -> None:
    words = [str(a) for a in arguments]
    print(f"\n$ {name} {' '.join(words)}", flush=True)
    done = subprocess.run([str(Path(sys.executable).with_name(name)), *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
