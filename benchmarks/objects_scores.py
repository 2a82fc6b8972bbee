"""Scores, table and picture of `benchmarks.objects`, and the check of our scores against StarDist's."""

from __future__ import annotations

import colorsys
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from seg_runtime.answers import outlined, stretched
from seg_toolkit.evaluation import THRESHOLDS, ObjectScores, match_objects, object_summary

from .measure import table

Ids = NDArray[np.integer[Any]]
TOLERANCE = 1e-9
CHECKED = (*THRESHOLDS, 0.95, 1.0)  # below 0.5, StarDist's choice among several matches also depends on those that fail
_FLOAT32 = 1e-6  # StarDist sums IoU in float32
_WIDTH, _GAP, _LINE = 360, 8, 22  # px of the picture


def truth_of(folder: Path, split: Mapping[str, Any], name: str) -> Ids:
    """Read the true ids of a test image."""
    with Image.open(folder / "test" / "instances" / split["instances"][name]) as image:
        return np.asarray(image).astype(np.int32)


def found_of(folder: Path, method: str, name: str) -> Ids:
    """Read the ids that a method found in a test image."""
    ids: Ids = np.load(folder / "predicted" / method / f"{Path(name).stem}.npy")
    return ids


def score(folder: Path, split: Mapping[str, Any], methods: Sequence[str]) -> dict[str, Any]:
    """Score the methods whose predictions exist, on all test images together and on each."""
    if not methods:
        raise SystemExit(f"error: {folder} has no predictions; run the part predict first")
    return {"data": split["data"], "methods": {method: _scored(folder, split, method) for method in methods}}


def _scored(folder: Path, split: Mapping[str, Any], method: str) -> dict[str, Any]:
    pairs = {name: (truth_of(folder, split, name), found_of(folder, method, name)) for name in split["test"]}
    figures = {name: ObjectScores.of(truth, found) for name, (truth, found) in pairs.items()}
    wrong = [abs(figure.found - figure.true) for figure in figures.values()]
    training, predicting = (json.loads((folder / f"{part}-{method}.json").read_text()) for part in ("train", "predict"))
    return {
        **object_summary(list(figures.values())),
        "count_error": float(np.mean(wrong)),
        "count_error_of_true": sum(wrong) / max(1, sum(figure.true for figure in figures.values())),
        "seconds_an_image": float(np.median(list(predicting["seconds"].values()))),
        "training": {name: training[name] for name in ("wall_s", "cpu_s")},
        "each": {name: object_summary([figure]) for name, figure in figures.items()},
    }


def table_of(scores: Mapping[str, Any]) -> str:
    """Format the scores as two Markdown tables: scores at IoU 0.5, and AP at all thresholds."""
    rows, precisions = [], []
    for method, found in scores["methods"].items():
        shown = [_number(found[name]) for name in ("mean_ap", "f1", "precision", "recall", "pq", "seg")]
        counts = [
            str(found["merged"]),
            str(found["split"]),
            f"{found['count_error']:.1f} ({found['count_error_of_true']:.1%})",
        ]
        seconds = [f"{found['training'][name] / 60:.1f}" for name in ("wall_s", "cpu_s")]
        rows.append([method, *shown, *counts, *seconds, f"{found['seconds_an_image']:.2f}"])
        precisions.append(
            [method, *(_number(found["ap"][f"{iou:.2f}"]) for iou in THRESHOLDS), _number(found["ap"]["mean"])]
        )
    head = [
        "method", "mean AP of an image", "F1", "precision", "recall", "PQ", "SEG", "merged", "split",
        "count error an image (of the true)", "training, min", "CPU, min", "an image, s",
    ]  # fmt: skip
    images = next(iter(scores["methods"].values()))["images"]
    return (
        f"{scores['data']}, {images} test images; {scores['machine']}\n\n{table(head, rows)}\n\n"
        f"{table(['AP at IoU', *(f'{iou:.2f}' for iou in THRESHOLDS), 'mean'], precisions)}\n"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def picture(folder: Path, split: Mapping[str, Any], scores: Mapping[str, Any]) -> Image.Image:
    """Draw the worst and the median test image by the mean AP of all methods: image, truth, and what each method found."""
    methods = scores["methods"]
    ranked = sorted(split["test"], key=lambda name: float(np.mean([_ap(methods[m]["each"][name]) for m in methods])))
    rows = []
    for title, name in (("worst", ranked[0]), ("median", ranked[len(ranked) // 2])):
        with Image.open(folder / "test" / "images" / name) as opened:
            grey = split["grey"]
            pixels = stretched(
                np.asarray(opened.convert("RGB"))[..., :1] if grey else np.asarray(opened.convert("RGB"))
            )
        truth = truth_of(folder, split, name)
        cells = [
            (f"{title}: {Path(name).stem[:12]}", pixels),
            (f"truth, {len(np.unique(truth)) - 1} objects", _drawn(pixels, truth)),
        ]
        for method, found in methods.items():
            ids, own = found_of(folder, method, name), found["each"][name]
            cells.append((f"{method}, {own['found']:.0f}, AP {_ap(own):.2f}", _drawn(pixels, ids)))
        rows.append(cells)
    return _sheet(rows)


def _ap(own: Mapping[str, Any]) -> float:
    return float(own["ap"]["mean"] or 0)


def _drawn(pixels: NDArray[np.uint8], ids: Ids) -> NDArray[np.uint8]:
    """Draw the outline of each object in a colour of its own, on pixels of twice the size so that outlines are thin."""
    large = np.repeat(np.repeat(pixels, 2, 0), 2, 1)
    colours = [(0, 0, 0), *(_colour(number) for number in range(1, int(ids.max()) + 1))]
    return outlined(large, ids.astype(np.int32), colours)


def _colour(number: int) -> tuple[int, int, int]:
    """Return a bright colour; those of consecutive numbers are far apart, by the golden ratio."""
    r, g, b = colorsys.hsv_to_rgb(number * (math.sqrt(5) - 1) / 2 % 1, 0.8, 1)
    return round(255 * r), round(255 * g), round(255 * b)


def _sheet(rows: Sequence[Sequence[tuple[str, NDArray[np.uint8]]]]) -> Image.Image:
    heights = [max(round(_WIDTH * cell.shape[0] / cell.shape[1]) for _, cell in row) for row in rows]
    width = len(rows[0]) * (_WIDTH + _GAP) + _GAP
    sheet = Image.new("RGB", (width, sum(heights) + len(rows) * (_LINE + _GAP) + _GAP), (255, 255, 255))
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(14), _GAP
    for row, height in zip(rows, heights, strict=True):
        for column, (title, cell) in enumerate(row):
            left = _GAP + column * (_WIDTH + _GAP)
            draw.text((left, top), title, (30, 30, 30), font)
            sheet.paste(Image.fromarray(cell).resize((_WIDTH, height), Image.Resampling.LANCZOS), (left, top + _LINE))
        top += height + _LINE + _GAP
    return sheet


def random_pairs(count: int, seed: int = 0) -> Iterator[tuple[Ids, Ids]]:
    """Yield true and found ids: objects that are moved, grown, halved, merged, missed and invented; some arrays are empty."""
    rng = np.random.default_rng(seed)
    for place in range(count):
        shape = (int(rng.integers(8, 90)), int(rng.integers(8, 90)))
        truth, found = np.zeros(shape, np.int32), np.zeros(shape, np.uint16)
        for _ in range(rng.integers(0, 25)):
            y, x, h, w = (int(rng.integers(0, n)) for n in (*shape, 14, 14))
            number, other = (int(rng.integers(1, 400)) for _ in range(2))  # with gaps; some are drawn twice
            truth[y : y + h, x : x + w] = number
            kind = rng.integers(0, 6)
            if kind == 0:  # missed
                continue
            dy, dx = rng.integers(-1, 2, 2) if kind > 2 else (0, 0)
            box = slice(max(0, y + dy), max(0, y + dy + h)), slice(max(0, x + dx), max(0, x + dx + w))
            found[box] = other if kind > 1 else 7  # one id for several
            if kind == 2:  # two halves, each of which may have an IoU of 0.5
                found[y : y + h // 2, x : x + w] = other + 400
        yield truth * (place % 10 != 7), found * np.uint16(place % 10 not in (7, 8))


def check(
    folder: Path, python: Sequence[str], call: Callable[[Sequence[object]], object], say: Callable[[str], None],
    count: int = 200,
) -> dict[str, Any]:  # fmt: skip
    """Compare `match_objects` with StarDist's `matching` on random ids, and on all predictions in the folder.

    Raises:
        SystemExit: they differ.
    """
    pairs = [*random_pairs(count), *_predicted(folder)]
    say(f"matching {len(pairs)} pairs of arrays at {len(CHECKED)} thresholds with StarDist")
    arrays = {
        f"{name}{i}": ids for i, pair in enumerate(pairs) for name, ids in zip(("truth", "found"), pair, strict=True)
    }
    stored, answer = folder / "check.npz", folder / "check-stardist.json"
    np.savez_compressed(stored, count=len(pairs), thresholds=CHECKED, **arrays)  # type: ignore[arg-type]
    call([*python, "match", stored.absolute(), answer.absolute()])
    worst = differences(pairs, json.loads(answer.read_text()))
    for name, error in worst.items():
        say(f"{name}: largest difference {error:.3g}")
    if wrong := [
        name for name, error in worst.items() if error > (_FLOAT32 if name == "panoptic_quality" else TOLERANCE)
    ]:
        raise SystemExit(f"error: {', '.join(wrong)} differ from StarDist's")
    return {"pairs": len(pairs), "thresholds": CHECKED, "largest_difference": worst}


def _predicted(folder: Path) -> Iterator[tuple[Ids, Ids]]:
    if (folder / "split.json").exists():
        split = json.loads((folder / "split.json").read_text())
        for path in sorted(folder.glob("predict-*.json")):
            method = json.loads(path.read_text())["method"]
            yield from ((truth_of(folder, split, name), found_of(folder, method, name)) for name in split["test"])


def differences(pairs: Sequence[tuple[Ids, Ids]], theirs: Sequence[Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """Return the largest difference of each score over all pairs and thresholds.

    Without true and found objects, StarDist's scores are 0 and ours NaN; both count as equal there.
    """
    worst: dict[str, float] = {}
    for (truth, found), row in zip(pairs, theirs, strict=True):
        for iou, their in zip(CHECKED, row, strict=True):
            m = match_objects(truth, found, iou)
            ours = {
                "tp": m.true_positives, "fp": m.false_positives, "fn": m.false_negatives, "accuracy": m.ap,
                "precision": m.precision, "recall": m.recall, "f1": m.f1, "panoptic_quality": m.pq, "exact_sum": m.iou_sum,
            }  # fmt: skip
            for name, value in ours.items():
                error = abs((0 if math.isnan(value) else value) - their[name])
                worst[name] = max(worst.get(name, 0.0), error)
    return worst
