"""StarDist's side of `benchmarks.objects`. It runs in StarDist's own environment and imports nothing of the project.

    PYTHON -I -u objects_stardist.py train FOLDER --seconds S
    PYTHON -I -u objects_stardist.py predict FOLDER
    PYTHON -I -u objects_stardist.py match PAIRS.npz SCORES.json

Network, augmentation and normalisation are those of StarDist's example notebook for 2-D images.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
MODEL = "stardist"  # a folder with the weights and thresholds
_TELL_S = 10.0  # between two lines of progress
_PATIENCE = 40 / 400  # of the plateau that lowers the learning rate, in epochs of StarDist's default number of epochs
NAMES = ("tp", "fp", "fn", "accuracy", "precision", "recall", "f1", "panoptic_quality")  # of the scores
_ENDLESS = 100_000  # epochs; the time ends the training


def image(path, grey):
    """Read an image as `(H, W)` or `(H, W, 3)` float32, between its percentiles 1 and 99.8 in each channel."""
    from csbdeep.utils import normalize

    with Image.open(path) as opened:
        if opened.mode not in ("L", "LA", "P", "RGB", "RGBA"):
            raise SystemExit(f"error: {path} has the mode {opened.mode}; expected 8 bits for each channel")
        pixels = np.asarray(opened.convert("RGB"))
    return normalize(pixels[..., 0] if grey else pixels, 1, 99.8, axis=(0, 1))


def ids(path):
    """Read ids `(H, W)` with holes of objects filled, as in the notebook."""
    from stardist import fill_label_holes

    with Image.open(path) as opened:
        return fill_label_holes(np.asarray(opened).astype(np.int32))


def augmented(x, y):
    """Turn, mirror, and change brightness, contrast and noise, as in the notebook."""
    turns, axes = np.random.randint(4), np.flatnonzero(np.random.randint(0, 2, 2))
    x, y = (np.flip(np.rot90(array, turns), tuple(axes)) for array in (x, y))
    x = x * np.random.uniform(0.6, 2) + np.random.uniform(-0.2, 0.2)
    sigma = 0.02 * np.random.uniform(0, 1)
    return x + sigma * np.random.normal(0, 1, x.shape), y


def clock_of(seconds, begin):
    """Make a callback that prints the progress and ends the training after some seconds."""
    from keras.callbacks import Callback, ReduceLROnPlateau

    class Clock(Callback):
        epochs, steps, told = [], 0, 0.0

        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            now = time.perf_counter()
            self.steps += 1
            if now - begin >= seconds:
                self.model.stop_training = True
            if now - self.told >= _TELL_S:
                self.told = now
                loss = f"loss {logs['loss']:.4f}" if logs else ""
                print(f"epoch {len(self.epochs) + 1}, step {self.steps}, {now - begin:.0f} of {seconds:.0f} s, {loss}")

        def on_epoch_end(self, epoch, logs=None):
            took = time.perf_counter() - self.start
            self.epochs.append(took)
            shown = {name: round(float(logs[name]), 4) for name in ("loss", "val_loss") if name in (logs or {})}
            print(f"epoch {len(self.epochs)} took {took:.1f} s, {shown}")
            if (
                len(self.epochs) == 2
            ):  # as a fraction of the epochs, since the time allows fewer than 400; the first is slow
                for other in self.plateaus:
                    other.patience = max(2, round(_PATIENCE * seconds / took))

    clock = Clock()
    clock.kind = ReduceLROnPlateau
    return clock


def train(folder, seconds):
    """Train for some seconds, choose the thresholds on the validation images, and write the figures."""
    print("StarDist: importing TensorFlow")
    import keras
    import tensorflow
    from stardist.models import Config2D, StarDist2D

    keras.utils.set_random_seed(0)
    keras.utils.disable_interactive_logging()  # bars of each step; the clock prints lines instead
    split = json.loads((folder / "split.json").read_text())
    data, grey = folder / "training", split["grey"]
    read = {
        part: (
            [image(data / "images" / name, grey) for name in split[part]],
            [ids(data / "instances" / split["instances"][name]) for name in split[part]],
        )
        for part in ("training", "validation")
    }
    config = Config2D(n_rays=32, grid=(2, 2), n_channel_in=1 if grey else 3, train_tensorboard=False)
    model = StarDist2D(config, name=MODEL, basedir=str(folder))
    model.prepare_for_training()
    begin = time.perf_counter()
    clock = clock_of(seconds, begin)
    clock.plateaus = [other for other in model.callbacks if isinstance(other, clock.kind)]
    model.callbacks.append(clock)
    model.train(*read["training"], validation_data=read["validation"], augmenter=augmented, epochs=_ENDLESS, seed=0)
    trained = time.perf_counter()
    print("StarDist: choosing the thresholds on the validation images")
    chosen = model.optimize_thresholds(*read["validation"], optimize_kwargs={"verbose": 0})
    figures = {
        "training_s": trained - begin,
        "thresholds_s": time.perf_counter() - trained,
        "steps": clock.steps,
        "epochs_s": clock.epochs,
        "patience": [other.patience for other in clock.plateaus],
        "thresholds": chosen,
        "versions": {"tensorflow": tensorflow.__version__, "keras": keras.__version__, **_versions()},
    }
    (folder / MODEL / "figures.json").write_text(json.dumps(figures, indent=2))


def _versions():
    from importlib.metadata import version

    return {name: version(name) for name in ("stardist", "csbdeep", "numpy")}


def predict(folder):
    """Write the ids of each test image as NPY, and the seconds that each took."""
    import keras
    from stardist.models import StarDist2D

    keras.utils.disable_interactive_logging()
    split = json.loads((folder / "split.json").read_text())
    model = StarDist2D(None, name=MODEL, basedir=str(folder))
    seconds, out = {}, folder / "predicted" / MODEL
    for name in [split["test"][0], *split["test"]]:  # the first call of a graph is slow
        path = folder / "test" / "images" / name
        start = time.perf_counter()
        found, _ = model.predict_instances(image(path, split["grey"]))
        seconds[name] = time.perf_counter() - start
        np.save(out / f"{Path(name).stem}.npy", found.astype(np.int32))
        print(f"{name}: {found.max()} objects, {seconds[name]:.2f} s")
    (out / "seconds.json").write_text(json.dumps(seconds, indent=2))


def match(pairs, scores):
    """Match true and found ids with `stardist.matching` at each threshold.

    StarDist keeps IoU as float32. `exact_sum` is the sum of the IoU of its matches in float64.
    """
    from stardist.matching import matching

    stored = np.load(pairs)
    thresholds, count = [float(t) for t in stored["thresholds"]], int(stored["count"])
    result = []
    for place in range(count):
        truth, found = stored[f"truth{place}"], stored[f"found{place}"]
        every = []
        for threshold in thresholds:
            got = matching(truth, found, thresh=threshold, report_matches=True)._asdict()
            matched = [got["matched_pairs"][i] for i in got["matched_tps"]] if "matched_tps" in got else []
            figures = {name: float(got[name]) for name in NAMES}
            figures["exact_sum"] = float(sum(_iou(truth == a, found == b) for a, b in matched))
            every.append(figures)
        result.append(every)
        if place % 20 == 0:
            print(f"StarDist matched {place + 1} of {count} pairs")
    scores.write_text(json.dumps(result))


def _iou(true, found):
    return np.count_nonzero(true & found) / np.count_nonzero(true | found)


def main():
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    for name in ("train", "predict"):
        part = parts.add_parser(name)
        part.add_argument("folder", type=Path)
        if name == "train":
            part.add_argument("--seconds", type=float, required=True)
    part = parts.add_parser("match")
    part.add_argument("pairs", type=Path)
    part.add_argument("scores", type=Path)
    options = vars(parser.parse_args())
    {"train": train, "predict": predict, "match": match}[options.pop("part")](**options)


if __name__ == "__main__":
    main()
