"""The parity table of the README: `python -m benchmarks.parity [--images DIR] [--json FILE]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from seg_export.options import ExportOptions
from seg_export.pipeline import export

from .measure import machine, random_checkpoint, save_json, table


def main() -> None:
    """Export random networks with both kinds of skip connection and two widths, and print their parity."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, help="real images to compare on [default: generated ones]")
    parser.add_argument("--json")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 64])
    options = parser.parse_args()
    rows, figures = [], []
    for skip in ("crop", "resize"):
        for width in options.widths:
            exported = export(random_checkpoint(width, skip), ExportOptions(images=options.images))
            p = exported.contract.parity
            figures.append({"skip": skip, "width": width, "mb": len(exported.content) / 1e6, **p})
            rows.append([
                skip, str(width), f"{len(exported.content) / 1e6:.1f} MB", str(p["windows"]), f"{p['max_abs_error']:.1e}",
                f"{p['relative_error']:.1e}", f"{p['flipped_per_million']:.2f}", f"{p['max_flip_margin']:.1e}",
            ])  # fmt: skip
            print(".", end="", flush=True)
    print(f"\n{machine()}; random weights, {figures[0]['images']} images\n")
    head = [
        "skip", "width", "file", "windows", "largest error", "of the range", "flipped px per million",
        "margin at a flip",
    ]  # fmt: skip
    print(table(head, rows))
    save_json(options.json, {"machine": machine(), "rows": figures})


if __name__ == "__main__":
    main()
