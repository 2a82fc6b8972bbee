"""The training loop: every optimizer step, schedule, checkpoint and picture of `seg-train` is on this page."""

from __future__ import annotations

import csv
import io
import math
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from seg_runtime.pipeline.tta import UPRIGHT
from seg_runtime.support import SegError, write_atomic
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..checkpoints import Checkpoint, beside, finished, load, resume_path, save
from ..data import parse_augmentation
from ..networks import LAYOUT, Network, described, torch_infer
from ..options import Settings
from .losses import deeply_supervised
from .objectives import Objective, score
from .pictures import curves
from .plan import Plan
from .windows import StreamOrder, collate

_PREVIEWS = 4  # validation images shown in the preview picture


@dataclass(frozen=True)
class News:
    """One line of news for whoever watches: `loss` after each step, `score`, the objective's, after each evaluation, else None."""

    step: int
    loss: float
    score: float | None


def train(plan: Plan, out: Path, *, workers: int = 0, watch: Callable[[News], None] = lambda news: None) -> Checkpoint:
    """Train, keep the best model at `out`, the state to resume from, a log and two pictures beside it.

    Args:
        plan: of the run.
        out: path of the best checkpoint.
        workers: processes that prepare windows.
        watch: called with news.

    Returns:
        The best checkpoint.

    Raises:
        SegError: the loss or the model's answers are no longer finite.
        KeyboardInterrupt: after Ctrl-C, the step and its evaluation finished and the state saved; a second Ctrl-C
            stops at once, with the state of the last evaluation.
    """
    objective, settings = plan.objective, plan.settings
    run = _Run(plan)
    kept: Checkpoint | None = None
    torch.manual_seed(settings.seed)
    if plan.state:
        run.restore(plan.state.training)
        kept = load(out) if run.rows else None
    order = StreamOrder(run.step * settings.batch_size, settings.steps * settings.batch_size)
    loader = DataLoader(
        plan.stream, settings.batch_size, sampler=order, num_workers=workers, collate_fn=collate,
        worker_init_fn=_ignore_ctrl_c,
        generator=torch.Generator(),  # its own, or it would draw from the one that dropout draws from
    )  # fmt: skip
    with _CtrlC() as ctrl_c:
        for batch in loader:
            if isinstance(batch, SegError):
                raise batch
            loss = run.advance(batch)
            watch(News(run.step, loss, None))
            if run.step % settings.eval_every == 0 or run.step == settings.steps:
                result = _evaluate(run, plan, out)
                if run.note(objective.best(result)):
                    kept = run.finished(result)
                    save(kept, out)
                run.remember(out)
                _write_log(run.rows, out, objective)
                watch(News(run.step, loss, objective.best(result)))
            if ctrl_c.pressed:
                run.remember(out)
                raise KeyboardInterrupt
    assert kept is not None  # the last step is evaluated
    return kept


class _Run:
    """All that changes from step to step, and all that `--resume` must find again."""

    def __init__(self, plan: Plan) -> None:
        model = plan.model
        model.to(plan.device).to(memory_format=LAYOUT[model.axes])  # type: ignore[call-overload]  # missing in torch's stubs
        self.model, self.device = model, plan.device
        self.objective, self.settings = plan.objective, plan.settings
        self.average = _average(model, self.settings.average)
        self.optimizer = _optimizer(model, self.settings)
        steps = self.settings.steps
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: _cosine(step, steps))
        self.scaler = torch.amp.GradScaler("cuda", enabled=self.device.type == "cuda")
        self.step, self.best = 0, -math.inf
        self.rows: list[dict[str, Any]] = []
        self.losses: list[float] = []

    def _parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("model", "average", "optimizer", "schedule", "scaler")}

    @property
    def answering(self) -> Network:
        """The running average of the weights, which is evaluated and kept."""
        network = self.average.module
        assert isinstance(network, Network)
        return network

    def advance(self, batch: Sequence[Tensor]) -> float:
        """One optimizer step; its loss."""
        loss = _step(self.model, batch, self.optimizer, self.scaler, self.objective, self.device)
        _check_finite(loss, f"the loss became {loss} at step {self.step + 1}")
        self.schedule.step()
        self.average.update_parameters(self.model)
        self.step += 1
        self.losses.append(loss)
        return loss

    def note(self, score: float) -> bool:
        """Add a row to the log; whether the score is the best so far."""
        self.rows.append({"step": self.step, "loss": float(np.mean(self.losses)), self.objective.key: score})
        self.losses.clear()
        if score <= self.best:
            return False
        self.best = score
        return True

    def finished(self, result: dict[str, Any]) -> Checkpoint:
        """A checkpoint of the weights as they are, with the scores that they reached."""
        settings = self.settings
        return finished(
            self.answering, self.objective.contract, self.objective.classes, settings.reader,
            trained=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            recipe=settings.recipe,
            settings={**asdict(settings), "best_step": self.step},
            orientation="any" if parse_augmentation(settings.augment).every_way_up else UPRIGHT,
            validation=result,
        )  # fmt: skip

    def remember(self, out: Path) -> None:
        """Write the state beside the model."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        numbers = {"step": self.step, "best": self.best, "rows": self.rows, "losses": self.losses}
        training = {**state, **numbers, "rng": torch.get_rng_state(), "settings": asdict(self.settings)}
        objective = self.objective
        save(Checkpoint(described(self.model), {}, objective.contract, objective.classes, training), resume_path(out))

    def restore(self, saved: dict[str, Any]) -> None:
        """Go back to a state."""
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])
        torch.set_rng_state(saved["rng"])
        self.step, self.best = int(saved["step"]), float(saved["best"])
        self.rows, self.losses = list(saved["rows"]), list(saved["losses"])


class _CtrlC:
    """While entered, the first Ctrl-C is only remembered; the second interrupts as ever."""

    def __init__(self) -> None:
        self.pressed = False

    def __enter__(self) -> _CtrlC:
        self._mine = threading.current_thread() is threading.main_thread()  # only there signals can be handled
        if self._mine:
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *error: object) -> None:
        if self._mine:
            signal.signal(signal.SIGINT, self._before)

    def _press(self, number: int, place: object) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True


def _ignore_ctrl_c(worker: int) -> None:
    """A terminal sends Ctrl-C to the workers too; they end when the main process is done with them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _check_finite(value: float, came: str) -> None:
    if not math.isfinite(value):
        raise SegError(
            came, "finite numbers", "lower --lr or check the intensity of the images; the last good state is kept"
        )


def _step(
    model: Network, batch: Sequence[Tensor], optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler,
    objective: Objective, device: torch.device,
) -> float:  # fmt: skip
    model.train()
    image, truth, weights = (part.to(device, non_blocking=True) for part in batch)
    with torch.autocast(device.type, enabled=device.type == "cuda"):
        answers = model.supervised(image.to(memory_format=LAYOUT[image.ndim - 2]))
    loss = deeply_supervised([objective.loss(answer, truth, weights) for answer in answers])
    value = float(loss.detach())
    if math.isfinite(value):  # a step on NaN would spoil the state that is kept
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
    return value


def _optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=settings.lr, momentum=settings.momentum)
    return torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)


def _cosine(step: int, steps: int) -> float:
    """Factor on the learning rate: a short linear rise, then half a cosine down to 1 %."""
    rise = min(50, max(1, steps // 20))
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _average(model: nn.Module, decay: float) -> torch.optim.swa_utils.AveragedModel:
    """Running average of the weights; its decay grows from 0, so that the first steps are forgotten."""

    def merge(old: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
        now = min(decay, (1 + float(count)) / (10 + float(count)))
        return old.lerp(new, 1 - now)

    return torch.optim.swa_utils.AveragedModel(model, avg_fn=merge)


def _evaluate(run: _Run, plan: Plan, out: Path) -> dict[str, Any]:
    model = run.answering.eval()
    infer = torch_infer(model, plan.device)

    def checked(window: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = infer(window)
        _check_finite(float(np.abs(logits).max()), "the model's answers are no longer finite")
        return logits

    result, shown = score(plan.objective, plan.validation, checked, keep=_PREVIEWS)
    picture = plan.objective.preview(shown)
    write_atomic(beside(out, ".preview.png"), lambda file: picture.save(file, "PNG"))
    return result


def _write_log(rows: Sequence[dict[str, Any]], out: Path, objective: Objective) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, ["step", "loss", objective.key], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomic(beside(out, ".csv"), lambda file: file.write(text.getvalue().encode()))
    picture = curves(rows, objective.key, objective.title)
    write_atomic(beside(out, ".curve.png"), lambda file: picture.save(file, "PNG"))
