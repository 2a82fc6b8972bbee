"""Where things lie."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""
SAMPLES = ROOT / "samples"
REAL = ROOT.parent / "shared" / "data"
"""Real images, on machines that have them."""
