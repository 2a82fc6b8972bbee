"""The training loop: every optimizer step, schedule, checkpoint and picture of `seg-train` is on this page."""

from __future__ import annotations

import csv
import io
import math
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from seg_runtime.model.contract import Contract
from seg_runtime.pipeline import Float
from seg_runtime.pipeline.tta import UPRIGHT
from seg_runtime.support.atomic import write_atomic
from seg_runtime.support.errors import SegError
from seg_runtime.version import VERSION
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..checkpoints.checkpoint import Checkpoint, load, save, weights_sha256
from ..data.augment import parse_augmentation
from ..data.case import Case
from ..data.folder import ClassValues, json_values
from ..data.windows import StreamOrder, WindowStream, collate
from ..evaluation.infer import torch_infer
from ..networks import Network, described
from ..networks.network import LAYOUT
from .loss import deeply_supervised
from .objectives import Aim, aim_of
from .objectives.aim import Judged
from .pictures import curves

PREVIEWS = 4  # validation images shown in the preview picture


@dataclass(frozen=True)
class Settings:
    """The numbers of one training run; stored in the checkpoint, compared on `--resume`."""

    steps: int = 700
    batch_size: int = 2
    optimizer: str = "adamw"
    lr: float = 1e-3
    momentum: float = 0.99
    weight_decay: float = 1e-4
    dice_weight: float = 1.0
    average: float = 0.99
    """Decay per step of the running average of the weights that is evaluated and kept; 0 keeps the last weights."""
    eval_every: int = 70
    seed: int = 0
    class_weights: tuple[float, ...] = (1.0, 1.0)
    border_weight: float = 0.0
    augment: str = "slight"
    balance: float = 0.5
    validation: tuple[str, ...] = ()
    """Names of the cases that are never trained on."""
    recipe: str = ""
    """Name of the recipe that it began with."""
    reader: str = "pairs"
    """Of the data set."""
    pretrained: str = ""
    """Digest (SHA-256) of the file of weights that it began with."""
    empty_dice: str = "skip"
    """What a class counts that neither the image nor the answer holds."""
    loss: str = ""
    """Of a regression, `l1` and so on; empty for labels."""
    metrics: str = ""
    """What `--evaluate` measures besides, as `--metrics` names it."""


@dataclass(frozen=True)
class News:
    """One line of news for whoever watches: `loss` after each step, `score`, the aim's, after each evaluation, else None."""

    step: int
    loss: float
    score: float | None


def train(
    model: Network, contract: Contract, settings: Settings, stream: WindowStream, validation: Sequence[Case],
    classes: Sequence[ClassValues], out: Path, *, device: torch.device, workers: int = 0,
    resume: Checkpoint | None = None, watch: Callable[[News], None] = lambda news: None,
) -> Checkpoint:  # fmt: skip
    """Train, keep the best model at `out`, the state to resume from, a log and two pictures beside it.

    Args:
        model: initialised network.
        contract: of the model to be.
        settings: the numbers.
        stream: training windows.
        validation: cases that are scored, never trained on.
        classes: with their mask values.
        out: path of the best checkpoint.
        device: where to train.
        workers: processes that prepare windows.
        resume: the state that an earlier run left.
        watch: called with news.

    Returns:
        The best checkpoint.

    Raises:
        SegError: the loss or the model's answers are no longer finite.
        KeyboardInterrupt: after Ctrl-C, the step and its evaluation finished and the state saved; a second Ctrl-C
            stops at once, with the state of the last evaluation.
    """
    aim = aim_of(contract, classes, asdict(settings))
    run = _Run(model, settings, device, aim)
    kept = Checkpoint(described(model), {}, contract, json_values(classes), reader=settings.reader)
    torch.manual_seed(settings.seed)
    if resume:
        run.restore(resume.training)
        kept = load(out) if run.rows else kept
    order = StreamOrder(run.step * settings.batch_size, settings.steps * settings.batch_size)
    loader = DataLoader(
        stream, settings.batch_size, sampler=order, num_workers=workers, collate_fn=collate, worker_init_fn=_ignore_ctrl_c,
        generator=torch.Generator(),  # its own, or it would draw from the one that dropout draws from
    )  # fmt: skip
    with _CtrlC() as ctrl_c:
        for batch in loader:
            if isinstance(batch, SegError):
                raise batch
            loss = run.advance(batch)
            watch(News(run.step, loss, None))
            if run.step % settings.eval_every == 0 or run.step == settings.steps:
                answer = run.average.module  # the running average is what is judged and kept
                result = _evaluate(answer, aim, validation, device, out)
                if run.note(aim.best(result)):
                    kept = _finished(answer, contract, settings, classes, run.step, result)
                    save(kept, out)
                run.remember(contract, classes, out)
                _write_log(run.rows, out, aim)
                watch(News(run.step, loss, aim.best(result)))
            if ctrl_c.pressed:
                run.remember(contract, classes, out)
                raise KeyboardInterrupt
    return kept


class _Run:
    """All that changes from step to step, and all that `--resume` must find again."""

    def __init__(self, model: Network, settings: Settings, device: torch.device, aim: Aim) -> None:
        model.to(device).to(memory_format=LAYOUT[model.axes])  # type: ignore[call-overload]  # missing in torch's stubs
        self.model, self.settings, self.device, self.aim = model, settings, device, aim
        self.average = _average(model, settings.average)
        self.optimizer = _optimizer(model, settings)
        steps = settings.steps
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: _cosine(step, steps))
        self.scaler = torch.amp.GradScaler("cuda", enabled=device.type == "cuda")
        self.step, self.best = 0, -math.inf
        self.rows: list[dict[str, Any]] = []
        self.losses: list[float] = []

    def _parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("model", "average", "optimizer", "schedule", "scaler")}

    def advance(self, batch: Sequence[Tensor]) -> float:
        """One optimizer step; its loss."""
        loss = _step(self.model, batch, self.optimizer, self.scaler, self.aim, self.device)
        _check_finite(loss, f"the loss became {loss} at step {self.step + 1}")
        self.schedule.step()
        self.average.update_parameters(self.model)
        self.step += 1
        self.losses.append(loss)
        return loss

    def note(self, score: float) -> bool:
        """Add a row to the log; whether the score is the best so far."""
        self.rows.append({"step": self.step, "loss": float(np.mean(self.losses)), self.aim.key: score})
        self.losses.clear()
        if score <= self.best:
            return False
        self.best = score
        return True

    def remember(self, contract: Contract, classes: Sequence[ClassValues], out: Path) -> None:
        """Write the state beside the model."""
        state = {name: part.state_dict() for name, part in self._parts().items()}
        numbers = {"step": self.step, "best": self.best, "rows": self.rows, "losses": self.losses}
        training = {**state, **numbers, "rng": torch.get_rng_state(), "settings": asdict(self.settings)}
        save(Checkpoint(described(self.model), {}, contract, json_values(classes), training), resume_path(out))

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


def beside(out: Path, ending: str) -> Path:
    """A file that belongs to the model `out`: `model.pt` -> `model.csv`, other names keep all of theirs."""
    return out.with_name((out.stem if out.suffix in (".pt", ".pth") else out.name) + ending)


def resume_path(out: Path) -> Path:
    """Where the state to resume from lies: beside the model."""
    return beside(out, ".resume.pt")


def _step(
    model: Network, batch: Sequence[Tensor], optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler,
    aim: Aim, device: torch.device,
) -> float:  # fmt: skip
    model.train()
    image, truth, weights = (part.to(device, non_blocking=True) for part in batch)
    with torch.autocast(device.type, enabled=device.type == "cuda"):
        answers = model.supervised(image.to(memory_format=LAYOUT[image.ndim - 2]))
    loss = deeply_supervised([aim.loss(answer, truth, weights) for answer in answers])
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


def _evaluate(model: nn.Module, aim: Aim, cases: Sequence[Case], device: torch.device, out: Path) -> dict[str, Any]:
    model.eval()
    figures: list[Any] = []
    shown: list[Judged] = []
    infer = torch_infer(model, device)

    def checked(window: Float) -> Float:
        answer = infer(window)
        _check_finite(float(np.abs(answer).max()), "the model's answers are no longer finite")
        return answer

    for judged in aim.judged(cases, checked):
        figures.append(judged.figures)
        if len(shown) < PREVIEWS:
            shown.append(judged)
    picture = aim.preview(shown)
    write_atomic(beside(out, ".preview.png"), lambda file: picture.save(file, "PNG"))
    return aim.summary(figures)


def _finished(
    model: nn.Module,
    contract: Contract,
    settings: Settings,
    classes: Sequence[ClassValues],
    step: int,
    result: dict[str, Any],
) -> Checkpoint:
    assert isinstance(model, Network)  # what the average wraps
    network = model
    provenance = {
        "weights_sha256": weights_sha256(network),
        "seg-edge": VERSION,
        "torch": str(torch.__version__),
        "trained": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "network": described(network),
        "recipe": settings.recipe,
        "settings": {**asdict(settings), "best_step": step},
        "orientation": "any" if parse_augmentation(settings.augment).every_way_up else UPRIGHT,
        "validation": result,
    }
    state = {name: value.detach().clone() for name, value in network.state_dict().items()}
    stamped = replace(contract, provenance=provenance)
    return Checkpoint(described(network), state, stamped, json_values(classes), reader=settings.reader)


def _write_log(rows: Sequence[dict[str, Any]], out: Path, aim: Aim) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, ["step", "loss", aim.key], lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomic(beside(out, ".csv"), lambda file: file.write(text.getvalue().encode()))
    picture = curves(rows, aim.key, aim.title)
    write_atomic(beside(out, ".curve.png"), lambda file: picture.save(file, "PNG"))
