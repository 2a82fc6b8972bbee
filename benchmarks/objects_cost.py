"""What objects cost beside the network: `python -m benchmarks.objects_cost MODEL.onnx IMAGES [--side 4096] [--json FILE]`.

MODEL is a trained model of objects, whose planes are as real as those of users. For each image, the time of everything after
the network (bytes of the planes, and the objects that are grown from them) is divided by the time that a network of width 64,
which is common and whose weights do not matter, takes for the windows of this image. The same follows for a square mosaic of
the images, for which measuring and each file of objects are timed too, and the peak memory of a whole `seg-run` with a table and
all files, beside that of the same image of one px. A folder of one crowded image gives a crowded mosaic.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from seg_runtime import Segmenter
from seg_runtime.answers import answer_of
from seg_runtime.engine import Session
from seg_runtime.formats import FORMATS, Source, from_pil
from seg_runtime.outputs import MEASURES, OUTPUTS
from seg_runtime.pipeline import Grid, fitted, segment

from .measure import command, machine, milliseconds, process, random_model, save_json, table


def mosaic(images: list[NDArray[Any]], side: int) -> NDArray[Any]:
    """Repeat images, mirrored at their edges, to a square of `side` px."""
    rows: list[NDArray[Any]] = []
    while sum(len(row) for row in rows) < side:
        row: list[NDArray[Any]] = []
        height = 256
        while sum(part.shape[1] for part in row) < side:
            image = images[(len(rows) * 7 + len(row)) % len(images)]
            beyond = [(0, max(0, height - len(image))), *[(0, 0)] * (image.ndim - 1)]
            row.append(np.pad(image, beyond, "symmetric")[:height])
        rows.append(np.concatenate(row, axis=1)[:, :side])
    return np.concatenate(rows)[:side]


def cost(session: Session, image: NDArray[Any], window_ms: float, name: str) -> dict[str, Any]:
    """Measure the milliseconds after the network for an image `(H, W, C)`, and how many objects there are."""
    contract = session.contract
    answer, fit = answer_of(contract), fitted(image, contract, name)
    logits: list[NDArray[np.float32]] = []

    def kept(window: NDArray[np.float32]) -> NDArray[np.float32]:
        logits.append(session.run(window))
        return logits[-1]

    found = segment(fit, contract, kept, answer)[0]
    grid = Grid.of(fit.shape[:-1], contract.geometry)
    planes = grid.stitch([answer.window(one[0]) for one in logits], answer.empty(fit.shape[:-1]))
    bytes_ms = sum(milliseconds(lambda: answer.window(one[0])) for one in logits)  # noqa: B023 - called at once
    grow_ms = min(milliseconds(lambda: answer.whole(planes)) for _ in range(3))
    return {
        "image": name, "px": int(np.prod(fit.shape[:-1])), "objects": int(found[0].max()), "windows": len(logits),
        "bytes_ms": bytes_ms, "grow_ms": grow_ms, "network_ms": window_ms * len(logits),
        "share": (bytes_ms + grow_ms) / (window_ms * len(logits)),
    }  # fmt: skip


def files_ms(segmenter: Segmenter, image: NDArray[Any], folder: Path) -> dict[str, float]:
    """Measure the milliseconds that the measures of the objects of an image, their table and each other file take."""
    result = segmenter(image)
    spent = {"measures": milliseconds(lambda: result.measurements)}
    source = Source(folder / "a.png", folder / "a", (folder / "a.png",), FORMATS.get("picture"))
    outputs = {name: OUTPUTS.get(name).output(name, source, result.contract) for name in OUTPUTS.names()}
    for name, output in {"table": MEASURES, **outputs}.items():

        def save() -> None:
            prepared = output.prepare([result], source)  # noqa: B023 - called at once
            with (folder / "file").open("wb") as file:
                prepared[1](file)

        spent[name] = milliseconds(save)
    return spent


def memory(model: Path, image: NDArray[Any], folder: Path) -> dict[str, float]:
    """Measure the peak memory in MB of `seg-run` with all files of objects on an image, and on one px of it."""
    peaks = {}
    wanted = ["--measure", *(word for name in OUTPUTS.names() for word in ("--save", name))]
    for name, part in (("image", image), ("one px", image[:1, :1])):
        path = folder / f"{name.replace(' ', '-')}.png"
        Image.fromarray(np.squeeze(part, axis=-1) if part.shape[-1] == 1 else part).save(path)
        words = [command("seg-run"), "--model", model, "--provider", "cpu", path, "-o", folder / "out", *wanted]
        peaks[name] = process(words, folder)[1]
    return peaks


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="trained model of objects")
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--side", type=int, default=4096, help="px of a side of the mosaic")
    parser.add_argument("--width", type=int, default=64, help="width of the network that it is compared with")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    images = {}
    with tempfile.TemporaryDirectory() as name, Segmenter(options.model, provider="cpu") as segmenter:
        folder = Path(name)
        for path in sorted(options.images.iterdir()):
            with Image.open(path) as image:
                images[path.name] = fitted(from_pil(image), segmenter.contract, path.name)
        channels = segmenter.contract.input.channels
        with Segmenter(random_model(folder, width=options.width, channels=channels, classes=3), provider="cpu") as wide:
            x = np.random.default_rng(0).normal(size=(1, channels, 572, 572)).astype(np.float32)
            wide.session.run(x)
            window_ms = statistics.median(milliseconds(lambda: wide.session.run(x)) for _ in range(5))
        rows = [cost(segmenter.session, image, window_ms, file) for file, image in images.items()]
        large = mosaic(list(images.values()), options.side)
        rows.append(cost(segmenter.session, large, window_ms, f"mosaic of {options.side}×{options.side}"))
        files = files_ms(segmenter, large, folder)
        peaks = memory(options.model.absolute(), large, folder)
    shown = [
        [r["image"], str(r["objects"]), f"{r['network_ms']:.0f}", f"{r['bytes_ms']:.0f}", f"{r['grow_ms']:.0f}", f"{r['share']:.3f}"]
        for r in rows
    ]  # fmt: skip
    print(f"{machine()}\nnetwork of width {options.width}: {window_ms:.0f} ms for a window\n")
    print(table(["image", "objects", "network, ms", "bytes, ms", "objects, ms", "share"], shown))
    whole = sum(r["bytes_ms"] + r["grow_ms"] for r in rows[:-1]) / sum(r["network_ms"] for r in rows[:-1])
    print(f"\nall images: {whole:.3f} of the network\npeak memory: {peaks}\n\nmosaic, of the network:")
    print(table(["", "ms", "share"], [[k, f"{v:.0f}", f"{v / rows[-1]['network_ms']:.3f}"] for k, v in files.items()]))
    figures = {"window_ms": window_ms, "share": whole, "rows": rows, "files_ms": files, "peak_mb": peaks}
    save_json(options.json, {"machine": machine(), **figures})


if __name__ == "__main__":
    main()
