"""The training loop of `seg-train`: optimizer steps, schedule, checkpoints and pictures."""

from __future__ import annotations

import csv
import io
import json
import math
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from seg_edge import SIGNALS
from seg_runtime.pipeline import UPRIGHT
from seg_runtime.support import SegError, write_atomic
from torch import Tensor

from ..checkpoints import Checkpoint, Split, load, save
from ..networks import LAYOUT, Network, autocast, torch_infer
from .losses import deeply_supervised
from .objectives import Objective, ScoredCase
from .optimization import Optimization
from .pictures import curves
from .plan import Plan

Watch = Callable[[int, float, dict[str, Any] | None], None]
"""Called after each step with its number and the mean loss since the last evaluation, as in the log, and once more with the
summary of the scores after an evaluation."""


def train(plan: Plan, *, workers: int = 0, watch: Watch = lambda step, loss, result: None) -> Checkpoint:
    """Train, and write the best model, its split, the state for `--resume`, a log and two pictures.

    Args:
        plan: plan of the run.
        workers: number of processes that prepare windows.
        watch: see `Watch`.

    Returns:
        The best checkpoint.

    Raises:
        SegError: if the loss or the logits are no longer finite.
        KeyboardInterrupt: after Ctrl-C, when the step and its evaluation are finished and the state is saved. A second
            Ctrl-C stops immediately, with the state of the last evaluation.
    """
    settings, files, objective = plan.settings, plan.files, plan.objective
    run = _Run(plan)
    kept: Checkpoint | None = None
    torch.manual_seed(settings.seed)
    if plan.state:
        run.restore(plan.state.training)
        kept = load(files.model) if run.rows else None
        if kept and not plan.judged_alike:
            kept = run.judged_again(kept)
    size = settings.batch_size
    _write_split(kept.split if kept else plan.split, files.split)
    with _CtrlC() as ctrl_c:
        last = run.windows + (settings.steps - run.step) * size
        for batch in plan.stream.batches(run.windows, last, size, workers):
            run.advance(batch)
            watch(run.step, run.loss, None)
            if run.step % settings.eval_every == 0 or run.step == settings.steps:
                chosen, result, shown = run.evaluate()
                loss = run.loss
                if run.note(objective.best(result)):
                    kept = run.finished(chosen, result)
                    save(kept, files.model)
                    _write_split(kept.split, files.split)
                    _write_picture(files.preview, objective.preview(shown))
                run.remember()
                _write_log(run.rows, plan)
                watch(run.step, loss, result)
            if ctrl_c.pressed:
                run.remember()
                raise KeyboardInterrupt
    assert kept is not None  # the last step is evaluated
    return kept


class _Run:
    """The state that changes from step to step and that `--resume` restores."""

    def __init__(self, plan: Plan) -> None:
        model = plan.model
        model.to(plan.device).to(memory_format=LAYOUT[model.axes])  # type: ignore[call-overload]  # missing in the stubs of PyTorch
        self.plan, self.model, self.settings = plan, model, plan.settings
        self.optimization = Optimization(model, self.settings, plan.device)
        self.step, self.windows, self.best = 0, 0, -math.inf
        self.rows: list[dict[str, Any]] = []
        self.losses: list[float] = []

    @property
    def answering(self) -> Network:
        """The running average of the weights, which is evaluated and saved."""
        network = self.optimization.average.module
        assert isinstance(network, Network)
        return network

    @property
    def loss(self) -> float:
        """Mean loss of the steps since the last evaluation."""
        return float(np.mean(self.losses))

    def advance(self, batch: Sequence[Tensor]) -> None:
        """Do one optimizer step."""
        self._set_to_train()
        device = self.plan.device
        image, truth, weights = (part.to(device, non_blocking=True) for part in batch)
        with autocast(device):
            answers = self.model.supervised(image.to(memory_format=LAYOUT[image.ndim - 2]))
        loss = deeply_supervised([self.plan.objective.loss(answer, truth, weights) for answer in answers])
        value = float(loss.detach())
        _check_finite(
            value, f"the loss is no longer finite at step {self.step + 1} ({value})"
        )  # a step on NaN would spoil the state
        self.optimization.step(loss)
        self.step += 1
        self.windows += len(image)
        self.losses.append(value)

    def _set_to_train(self) -> None:
        """Switch to training mode, except for frozen parts, whose batch norm would follow the images."""
        self.model.train()
        if self.settings.freeze != "none":
            for part in self.model.encoder():
                part.requires_grad_(False).eval()

    def judged_again(self, kept: Checkpoint) -> Checkpoint:
        """Score the best model so far on the validation images of now, and save it with this score."""
        infer = torch_infer(kept.build().to(self.plan.device), self.plan.device)
        objective, result, _ = self.plan.validated(infer)
        self.best = objective.best(result)
        old = kept.contract.provenance
        settings = {**old["settings"], "empty_dice": self.settings.empty_dice}
        split = replace(kept.split, validation=self.plan.split.validation)  # these weights have not seen added images
        provenance = {**old, "validation": result, "settings": settings, "images": split.counts()}
        kept = replace(kept, contract=replace(objective.contract, provenance=provenance), split=split)
        save(kept, self.plan.files.model)
        return kept

    def evaluate(self) -> tuple[Objective, dict[str, Any], list[ScoredCase]]:
        """Score the validation cases, see `Plan.validated`."""
        infer = torch_infer(self.answering.eval(), self.plan.device)

        def checked(window: NDArray[np.float32]) -> NDArray[np.float32]:
            logits = infer(window)
            _check_finite(float(np.abs(logits).max()), "the outputs of the model are no longer finite")
            return logits

        return self.plan.validated(checked)

    def note(self, score: float) -> bool:
        """Add a row to the log, and return whether the score is the best so far; any is better than none, NaN."""
        first = not self.rows
        self.rows.append({"step": self.step, "loss": self.loss, self.plan.objective.key: score})
        self.losses.clear()
        if not (first or math.isnan(self.best) or score > self.best):
            return False
        self.best = score
        return True

    def finished(self, objective: Objective, result: dict[str, Any]) -> Checkpoint:
        """Make a checkpoint of the current weights with their scores, and the contract that was chosen for them."""
        settings = asdict(self.settings)
        parent = settings.pop("parent")
        return Checkpoint.finished(
            self.answering, objective.contract, objective.classes, self.settings.reader, self.plan.split,
            trained=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            recipe=self.settings.recipe,
            settings={**settings, "best_step": self.step},
            orientation="any" if self.plan.stream.augmentation.every_way_up else UPRIGHT,
            validation=result,
            **({"parent": parent} if parent else {}),
        )  # fmt: skip

    def remember(self) -> None:
        """Save the state for `--resume`."""
        state = {"model": self.model.state_dict(), **self.optimization.state()}
        numbers = {
            "step": self.step,
            "windows": self.windows,
            "best": self.best,
            "rows": self.rows,
            "losses": self.losses,
        }
        training = {**state, **numbers, "settings": asdict(self.settings), "rng": torch.get_rng_state()}
        objective = self.plan.objective
        reader, split = self.settings.reader, self.plan.split
        saved = Checkpoint(self.model.described, {}, objective.contract, objective.classes, training, reader, split)
        save(saved, self.plan.files.state)

    def restore(self, saved: dict[str, Any]) -> None:
        """Restore a saved state."""
        self.model.load_state_dict(saved["model"])
        self.optimization.restore(saved, saved["settings"]["optimizer"] == self.settings.optimizer)
        torch.set_rng_state(saved["rng"])
        self.step, self.windows, self.best = int(saved["step"]), int(saved["windows"]), float(saved["best"])
        self.rows, self.losses = list(saved["rows"]), list(saved["losses"])


class _CtrlC:
    """Context manager in which the first Ctrl-C or SIGTERM only sets `pressed`; the second interrupts as usual."""

    def __init__(self) -> None:
        self.pressed = False

    def __enter__(self) -> _CtrlC:
        """Install the signal handlers."""
        self._mine = (
            threading.current_thread() is threading.main_thread()
        )  # signals can only be handled in the main thread
        if self._mine:
            self._before = {number: signal.signal(number, self._press) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        """Restore the previous signal handlers."""
        if self._mine:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _press(self, number: int, place: object) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True


def _check_finite(value: float, problem: str) -> None:
    if not math.isfinite(value):
        advice = "lower --lr, or check the intensity of the images; the last good state is saved"
        raise SegError(problem, "", advice)


def _write_log(rows: Sequence[dict[str, Any]], plan: Plan) -> None:
    key, text = plan.objective.key, io.StringIO()
    table = csv.DictWriter(text, ["step", "loss", key], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    _write_text(plan.files.log, text.getvalue())
    _write_picture(plan.files.curve, curves(rows, key, plan.objective.title))


def _write_split(split: Split, path: Path) -> None:
    _write_text(path, json.dumps(split.to_dict(), indent=1) + "\n")


def _write_text(path: Path, text: str) -> None:
    write_atomic(path, lambda file: file.write(text.encode()))


def _write_picture(path: Path, picture: Image.Image) -> None:
    write_atomic(path, lambda file: picture.save(file, "PNG"))
