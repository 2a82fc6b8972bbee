"""Make the pictures of docs/how-to/measure.md: `python -m docs.pictures` runs the commands of its pages on generated nuclei.

Needs Chromium, which shows the page of `--report`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.documentation.test_commands import commands
from tests.hosts.chromium import Chromium

ROOT = Path(__file__).parents[1]
PAGES = ("objects", "measure")
SHOWN = ("001", "005", "009")
ZOOM, GAP = 3, 12
PAGE = (900, 480)


def main() -> None:
    """Follow the pages in a folder of their own, and write docs/images/outlines.png and report.png."""
    images = ROOT / "docs" / "images"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "samples").symlink_to(ROOT / "samples")
        environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": name}
        for line in (line for page in PAGES for line in commands(ROOT / "docs" / "how-to" / f"{page}.md")):
            if "model.onnx" not in line:  # a model of another page
                print(line, flush=True)
                subprocess.run(line, shell=True, check=True, cwd=folder, env=environment)
        outlines([folder / "measured" / f"{stem}_overlay.png" for stem in SHOWN]).save(
            images / "outlines.png", optimize=True
        )
        with Chromium(folder / "profile", folder) as browser:
            browser.call(
                "Emulation.setDeviceMetricsOverride", width=PAGE[0], height=PAGE[1], deviceScaleFactor=1, mobile=False
            )
            browser.open((folder / "measured.html").as_uri())
            browser.wait("document.readyState === 'complete'")
            browser.screenshot(images / "report.png")


def outlines(paths: list[Path]) -> Image.Image:
    """Return overlays side by side, magnified without smoothing, so that each pixel can be seen."""
    opened = [Image.open(path).convert("RGB") for path in paths]
    large = [
        picture.resize((picture.width * ZOOM, picture.height * ZOOM), Image.Resampling.NEAREST) for picture in opened
    ]
    size = sum(one.width for one in large) + GAP * (len(large) - 1), max(one.height for one in large)
    whole, left = Image.new("RGB", size, "white"), 0
    for one in large:
        whole.paste(one, (left, 0))
        left += one.width + GAP
    return whole


if __name__ == "__main__":
    main()
