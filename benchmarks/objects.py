"""Objects of seg-edge and of StarDist on the same images: `python -m benchmarks.objects PART … FOLDER`.

    python -m benchmarks.objects install stardist-env
    python -m benchmarks.objects check out --stardist stardist-env
    python -m benchmarks.objects all out --data ../shared/data/dsb2018_nuclei_grey --test 15 --stardist stardist-env

`all` is these parts, each of which also runs alone and is not repeated if its file is in FOLDER:

    split          chooses test images, which no method sees, and validation images            split.json
    train METHOD   components, border and distance of seg-edge, then stardist                  train-METHOD.json
    predict METHOD exports the model, and writes the ids of each test image                    predict-METHOD.json
    score          compares ids with the truth                                                 scores.json
    table, picture show the scores, and the worst and the median test image                    table.md, picture.png

All methods have the same training and validation images. StarDist trains from new weights for as many seconds as the slowest of
ours, with the settings of its example notebook, and then chooses its thresholds on the validation images, as ours do. Run the
trainings one after another on a machine that does nothing else, or equal seconds are not equal work; the seconds of CPU show it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from seg_runtime import Segmenter

from .measure import command, machine, save_json, versions
from .objects_scores import check, picture, score, table_of

ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("objects_stardist.py")
PACKAGES = ROOT / "constraints-stardist.txt"
VALIDATION = 0.2  # of the images that are not for testing
OURS: dict[str, tuple[str, ...]] = {
    "components": (),
    "border": ("--answer", "objects", "--separation", "border"),
    "distance": ("--answer", "objects", "--separation", "distance"),
}
"""Options of a training by method; `components` is a segmentation, whose connected parts are the objects."""
STARDIST = "stardist"
METHODS = (*OURS, STARDIST)  # StarDist last, for it takes as long as the slowest of the others
PARTS = ("images", "masks", "instances")


@dataclass(frozen=True)
class Plan:
    """What one call of the benchmark is given; see `main`."""

    folder: Path
    data: Path | None = None
    test: int = 15
    seed: int = 0
    width: int = 16
    steps: int = 700
    seconds: float | None = None
    stardist: Path | None = None

    def figures(self, name: str) -> Path:
        """Path of the JSON file of a part."""
        return self.folder / f"{name}.json"

    def read(self, name: str) -> dict[str, Any]:
        """Figures of a part that is done."""
        path = self.figures(name)
        if not path.exists():
            raise SystemExit(f"error: {path} is missing; run the part {name.replace('-', ' ')} first")
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def python(self) -> list[str]:
        """Python of StarDist's environment; isolated, since this folder has files named as packages may be."""
        if self.stardist is None:
            raise SystemExit("error: --stardist is missing; name a folder that the part install made")
        found = [p for p in (self.stardist / "bin" / "python", self.stardist / "Scripts" / "python.exe") if p.exists()]
        if not found:
            raise SystemExit(f"error: {self.stardist} is no environment of Python; make it with the part install")
        return [str(found[0].absolute()), "-I", "-u", str(SCRIPT)]


def say(text: str) -> None:
    """Print a line of progress with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def call(words: Sequence[object]) -> dict[str, float]:
    """Run a command, whose output is shown, and return its seconds on the clock and on the CPU."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run([str(word) for word in words], cwd=ROOT, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    if done.returncode:
        raise SystemExit(f"error: {Path(str(words[0])).name} ended with exit code {done.returncode}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"wall_s": time.perf_counter() - start, "cpu_s": cpu}


def install(folder: Path) -> None:
    """Make an environment with StarDist."""
    say(f"making {folder}; TensorFlow takes some minutes")
    call([sys.executable, "-m", "venv", folder])
    python = next(p for p in (folder / "bin" / "python", folder / "Scripts" / "python.exe") if p.exists())
    call([python.absolute(), "-m", "pip", "install", "--disable-pip-version-check", "-r", PACKAGES])


def split(plan: Plan) -> dict[str, Any]:
    """Choose the images, and link them into `training/` and `test/`; validation images are part of `training/`."""
    if plan.data is None or not (plan.data / "instances").is_dir():
        raise SystemExit(f"error: --data is {plan.data}; expected a folder with images/ and instances/")
    names = sorted(path.name for path in (plan.data / "images").iterdir())
    if not 0 < plan.test <= len(names) - 2:
        raise SystemExit(f"error: --test is {plan.test}; expected 1 to {len(names) - 2} of the {len(names)} images")
    random.Random(plan.seed).shuffle(names)
    others = names[plan.test :]
    count = max(1, round(VALIDATION * len(others)))
    chosen = {
        "test": sorted(names[: plan.test]), "validation": sorted(others[:count]), "training": sorted(others[count:]),
    }  # fmt: skip
    instances = {Path(path.name).stem: path.name for path in (plan.data / "instances").iterdir()}
    if lacking := [name for name in names if Path(name).stem not in instances]:
        raise SystemExit(f"error: {plan.data / 'instances'} has no file for {lacking[0]}")
    for part, of in (("training", others), ("test", chosen["test"])):
        _linked(plan.data, plan.folder / part, {Path(name).stem for name in of})
    (plan.folder / "validation.txt").write_text("".join(f"{Path(name).stem}\n" for name in chosen["validation"]))
    grey = all(_is_grey(plan.data / "images" / name) for name in names)
    counts = ", ".join(f"{len(of)} {part}" for part, of in chosen.items())
    say(f"{counts} images, {'grey' if grey else 'in colour'}")
    return {
        "data": plan.data.name, "seed": plan.seed, "grey": grey, **chosen,
        "instances": {name: instances[Path(name).stem] for name in names},
    }  # fmt: skip


def _linked(source: Path, target: Path, stems: set[str]) -> None:
    """Make a data set of some images of another."""
    shutil.rmtree(target, ignore_errors=True)
    for folder in (source / part for part in PARTS if (source / part).is_dir()):
        (target / folder.name).mkdir(parents=True)
        for file in folder.iterdir():
            if file.stem in stems:
                try:
                    (target / folder.name / file.name).hardlink_to(file)
                except OSError:  # another disk, or not allowed for files of others
                    shutil.copyfile(file, target / folder.name / file.name)


def _is_grey(path: Path) -> bool:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return bool((pixels == pixels[..., :1]).all())


def check_split(plan: Plan) -> None:
    """Check that the split in the folder is that of this call.

    Raises:
        SystemExit: it is another one.
    """
    found = plan.read("split")
    asked = {"data": plan.data.name if plan.data else found["data"], "test": plan.test, "seed": plan.seed}
    there = {"data": found["data"], "test": len(found["test"]), "seed": found["seed"]}
    if asked != there:
        raise SystemExit(f"error: {plan.folder} was split with {there}, not {asked}; choose another folder")


def train(plan: Plan, method: str) -> dict[str, Any]:
    """Train a method, and return what it took."""
    plan.read("split")
    plan.figures(f"predict-{method}").unlink(missing_ok=True)  # that of an earlier training
    common = {"method": method, "machine": machine()}
    if method == STARDIST:
        seconds = plan.seconds or max(float(plan.read(f"train-{name}")["wall_s"]) for name in OURS)
        say(f"StarDist trains for {seconds:.0f} s")
        spent = call([*plan.python(), "train", plan.folder.absolute(), "--seconds", seconds])
        own = json.loads((plan.folder / STARDIST / "figures.json").read_text())
        return {**common, **spent, "budget_s": seconds, **own}
    options = (
        "--val-list", plan.folder.absolute() / "validation.txt", "--width", plan.width, "--steps", plan.steps,
        *OURS[method], "--overwrite",
    )  # fmt: skip
    model = plan.folder.absolute() / f"{method}.pt"
    spent = call([command("seg-edge"), "train", plan.folder.absolute() / "training", "-o", model, *options])
    found = versions("torch", "onnxruntime", "numpy")
    return {**common, **spent, "width": plan.width, "steps": plan.steps, "versions": found}


def predict(plan: Plan, method: str) -> dict[str, Any]:
    """Write the ids of the test images, `predicted/METHOD/STEM.npy` int32, and return the seconds of each."""
    plan.read(f"train-{method}")
    out = plan.folder / "predicted" / method
    out.mkdir(parents=True, exist_ok=True)
    if method == STARDIST:
        call([*plan.python(), "predict", plan.folder.absolute()])
        return {"method": method, "seconds": json.loads((out / "seconds.json").read_text())}
    checkpoint, model = (plan.folder.absolute() / f"{method}{suffix}" for suffix in (".pt", ".onnx"))
    call([command("seg-edge"), "export", checkpoint, model, "--images", plan.folder.absolute() / "training"])
    seconds = {}
    with Segmenter(model, provider="cpu") as segmenter:
        segmenter.warm_up()
        for name in plan.read("split")["test"]:
            start = time.perf_counter()
            ids = segmenter(plan.folder / "test" / "images" / name).objects
            seconds[name] = time.perf_counter() - start
            np.save(out / f"{Path(name).stem}.npy", ids)
            say(f"{method} {name}: {ids.max()} objects, {seconds[name]:.2f} s")
    return {"method": method, "seconds": seconds}


def once(plan: Plan, name: str, action: Callable[[], dict[str, Any]]) -> None:
    """Do a part and store its figures, unless they are there."""
    path = plan.figures(name)
    if path.exists():
        say(f"{name}: done before; delete {path} to repeat it")
        return
    say(f"{name}: begins")
    found = action()
    unfinished = path.with_suffix(".unfinished")
    save_json(str(unfinished), found)
    unfinished.replace(path)
    say(f"{name}: done")


def run(part: str, plan: Plan, methods: Sequence[str]) -> None:
    """Run a part of the benchmark, or all."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    if part == "check":
        save_json(str(plan.figures("check")), check(plan.folder, plan.python(), call, say))
    if part in ("split", "all"):
        once(plan, "split", lambda: split(plan))
        check_split(plan)
    for name, action in (("train", train), ("predict", predict)):
        for method in methods if part in (name, "all") else ():
            once(plan, f"{name}-{method}", lambda: action(plan, method))  # noqa: B023 - called at once
    done = [method for method in METHODS if plan.figures(f"predict-{method}").exists()]
    if part in ("score", "all"):
        save_json(str(plan.figures("scores")), {"machine": machine(), **score(plan.folder, plan.read("split"), done)})
    if part in ("score", "table", "all"):
        text = table_of(plan.read("scores"))
        (plan.folder / "table.md").write_text(text)
        print(text)
    if part in ("picture", "all"):
        picture(plan.folder, plan.read("split"), plan.read("scores")).save(plan.folder / "picture.png")
        say(f"wrote {plan.folder / 'picture.png'}")


def main() -> None:
    """Read the command line, and run a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "part", choices=["install", "split", "train", "predict", "score", "table", "picture", "check", "all"]
    )
    parser.add_argument("folder", type=Path, help="output folder; for install, the environment")
    parser.add_argument(
        "methods", nargs="*", help=f"methods to train or predict, of {', '.join(METHODS)} [default: all]"
    )
    parser.add_argument("--data", type=Path, help="data set with images/, masks/ and instances/")
    parser.add_argument("--test", type=int, default=15, help="number of test images")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split")
    parser.add_argument("--width", type=int, default=16, help="width of our networks")
    parser.add_argument("--steps", type=int, default=700, help="steps of our trainings")
    parser.add_argument("--seconds", type=float, help="seconds of StarDist's training [default: the slowest of ours]")
    parser.add_argument("--stardist", type=Path, help="environment that install made")
    options = vars(parser.parse_args())
    part, methods = options.pop("part"), options.pop("methods")
    if wrong := sorted(set(methods) - set(METHODS)):
        parser.error(f"{', '.join(wrong)} is no method; expected {', '.join(METHODS)}")
    if part == "install":
        install(options["folder"])
        return
    run(part, Plan(**options), methods or METHODS)


if __name__ == "__main__":
    main()
