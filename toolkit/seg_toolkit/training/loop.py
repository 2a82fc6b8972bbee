"""The training loop of `seg-train`: optimizer steps, schedule, checkpoints and pictures."""

from __future__ import annotations

import csv
import io
import math
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from seg_edge import SIGNALS
from seg_runtime.pipeline import UPRIGHT
from seg_runtime.support import SegError, write_atomic
from torch import Tensor

from ..checkpoints import Checkpoint, load, save
from ..networks import LAYOUT, Network, torch_infer
from .losses import deeply_supervised
from .optimization import Optimization
from .pictures import curves
from .plan import Plan

_PREVIEWS = 4  # validation images shown in the preview picture

Watch = Callable[[int, float, dict[str, Any] | None], None]
"""Called with the step and its loss, and with the summary of the scores after an evaluation."""


def train(plan: Plan, *, workers: int = 0, watch: Watch = lambda step, loss, result: None) -> Checkpoint:
    """Train, and write the best model, the state for `--resume`, a log and two pictures.

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
    with _CtrlC() as ctrl_c:
        last = run.windows + (settings.steps - run.step) * size
        for batch in plan.stream.batches(run.windows, last, size, workers):
            loss = run.advance(batch)
            watch(run.step, loss, None)
            if run.step % settings.eval_every == 0 or run.step == settings.steps:
                result = run.evaluate()
                score = objective.best(result)
                if run.note(score):
                    kept = run.finished(result)
                    save(kept, files.model)
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

    def advance(self, batch: Sequence[Tensor]) -> float:
        """Do one optimizer step and return its loss."""
        self._set_to_train()
        device = self.plan.device
        image, truth, weights = (part.to(device, non_blocking=True) for part in batch)
        with torch.autocast(device.type, enabled=device.type == "cuda"):
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
        return value

    def _set_to_train(self) -> None:
        """Switch to training mode, except for frozen parts, whose batch norm would follow the images."""
        self.model.train()
        if self.settings.freeze != "none":
            for part in self.model.encoder():
                part.requires_grad_(False).eval()

    def judged_again(self, kept: Checkpoint) -> Checkpoint:
        """Score the best model so far on the validation images of now, and save it with this score."""
        objective = self.plan.objective
        infer = torch_infer(kept.build().to(self.plan.device), self.plan.device)
        result, _ = objective.score(self.plan.validation, infer)
        self.best = objective.best(result)
        old = kept.contract.provenance
        names = {"validation": self.settings.validation, "empty_dice": self.settings.empty_dice}
        provenance = {**old, "validation": result, "settings": {**old["settings"], **names}}
        kept = replace(kept, contract=replace(kept.contract, provenance=provenance))
        save(kept, self.plan.files.model)
        return kept

    def evaluate(self) -> dict[str, Any]:
        """Score the validation cases and write the preview picture."""
        infer = torch_infer(self.answering.eval(), self.plan.device)

        def checked(window: NDArray[np.float32]) -> NDArray[np.float32]:
            logits = infer(window)
            _check_finite(float(np.abs(logits).max()), "the outputs of the model are no longer finite")
            return logits

        result, shown = self.plan.objective.score(self.plan.validation, checked, keep=_PREVIEWS)
        picture = self.plan.objective.preview(shown)
        write_atomic(self.plan.files.preview, lambda file: picture.save(file, "PNG"))
        return result

    def note(self, score: float) -> bool:
        """Add a row to the log, and return whether the score is the best so far."""
        self.rows.append({"step": self.step, "loss": float(np.mean(self.losses)), self.plan.objective.key: score})
        self.losses.clear()
        if score <= self.best:
            return False
        self.best = score
        return True

    def finished(self, result: dict[str, Any]) -> Checkpoint:
        """Make a checkpoint of the current weights with their scores."""
        objective, settings = self.plan.objective, asdict(self.settings)
        parent = settings.pop("parent")
        return Checkpoint.finished(
            self.answering, objective.contract, objective.classes, self.settings.reader,
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
        facts = {"settings": asdict(self.settings), "split": self.plan.split}
        training = {**state, **numbers, **facts, "rng": torch.get_rng_state()}
        objective = self.plan.objective
        reader = self.settings.reader
        saved = Checkpoint(self.model.described, {}, objective.contract, objective.classes, training, reader)
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
    write_atomic(plan.files.log, lambda file: file.write(text.getvalue().encode()))
    picture = curves(rows, key, plan.objective.title)
    write_atomic(plan.files.curve, lambda file: picture.save(file, "PNG"))
