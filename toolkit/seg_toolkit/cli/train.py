"""`seg-train`: images and masks -> model.pt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from seg_runtime.cli.commandline import Command, note, version_option
from seg_runtime.cli.options import COMMON, PATH, GroupedOption
from seg_runtime.support import InterruptedRunError, OptionsError, SegError, check, counted, require_extra, write_atomic

from ..options import RULES, Request, TrainOptions, config_text
from .defaults import DataArgument, config_option, parent_is_given, recipe_option, run_options, without_rivals
from .progress import Pace, bar, say

if TYPE_CHECKING:
    from ..training import Objective, Watch


@click.command(
    cls=Command,
    short_help="Train a U-Net on images and masks.",
    examples=[
        ("seg-train data -o model.pt", "Train on data/images and data/masks, with all choices made for you"),
        ("seg-train data -o model.pt --resume --steps 6000", "Train longer, also with images that you have added"),
        (
            "seg-train data -o new.pt --from model.pt",
            "Start from the weights of another model, with few images of a new kind",
        ),
    ],
    moved={"--evaluate": "evaluate MODEL.PT DATA", "--import": "import STATE.PT DATA", "--list-recipes": "recipes"},
    renamed={"--pretrained": "--from"},
)
@run_options
@click.argument("data", cls=DataArgument, type=PATH)
@click.option(
    "-o", "--out", cls=GroupedOption, group=COMMON, type=PATH, default="model.pt",
    help="The best checkpoint. A log, pictures and the options of the run are saved in the same folder.",
)  # fmt: skip
@recipe_option
@config_option
@TrainOptions.decorate
@version_option()
def main(data: Path, out: Path, recipe: str, **values: Any) -> None:
    """Train a U-Net on DATA/images with DATA/masks or DATA/instances, and write the best checkpoint.

    Defaults are chosen from the images. Each choice is printed with its reason and has an option.
    """
    require_extra("train", "torch", "scipy")
    options = TrainOptions(**without_rivals(values), recipe=recipe)
    check(RULES, Request(options=options))  # errors only; the notes come with those that need the data
    if out.suffix == ".onnx":
        problem = f"-o {out} is not the name of a checkpoint"
        raise OptionsError(problem, "a name such as model.pt", "use seg-export to make the ONNX file from it")
    from ..training import make_plan, train  # torch is slow to import: --help and wrong options work without it

    # the parent of a run is needed only once, so it may be gone when the run goes on
    needed = options if parent_is_given() or not options.resume else replace(options, parent=None)
    plan = make_plan(data, out, needed, say, bar)
    if plan.has_new_settings:
        text = config_text(data, out, options, plan.first_step)
        write_atomic(plan.files.config, lambda file: file.write(text.encode()))
    objective, steps = plan.objective, plan.settings.steps
    resumed = f", resumed at step {plan.first_step}" if plan.first_step else ""
    if plan.first_step < steps:
        say(f"training on {plan.device}: {counted(steps, 'step')}, batch size {plan.settings.batch_size}{resumed}")
    with click.progressbar(
        length=steps, label="training", file=sys.stderr, item_show_func=lambda text: text, show_pos=True,
        update_min_steps=1,
    ) as shown:  # fmt: skip
        shown.update(plan.first_step)
        watch = _watcher(objective, steps, shown.update)
        try:
            kept = train(plan, workers=options.workers, watch=watch)
        except RuntimeError as error:  # PyTorch has no special class for this error on the CPU
            if "memory" not in str(error):
                raise
            raise SegError("out of memory", "", "lower --batch-size or --width") from error
        except KeyboardInterrupt:
            raise _interrupted(plan.files.state) from None
    found = kept.contract.provenance
    click.echo(objective.table(found["validation"]))
    for text in plan.warnings(found["validation"]):
        note(text)
    best = found["settings"]["best_step"]
    click.echo(f"wrote {out}" if best > plan.first_step else f"{out} keeps the weights of step {best}, the best so far")


def _watcher(objective: Objective, steps: int, update: Callable[[int, str], None]) -> Watch:
    """Return a function that shows each step on the progress bar and reports each evaluation.

    Args:
        objective: objective of the training.
        steps: number of steps.
        update: moves the bar by a number of steps and shows a text at its end.
    """
    best: list[float] = []
    pace = Pace(steps)

    def watch(step: int, loss: float, result: dict[str, Any] | None) -> None:
        if result is None:
            score = f"  best {objective.title} {max(best):.4f}" if best else ""
            update(1, f"loss {loss:.4f}{score}")
            if estimate := pace.after(step):
                say(estimate)
            return
        best.append(objective.best(result))
        say(f"step {step}: loss {loss:.4f}, validation {objective.headline(result)}")

    return watch


def _interrupted(state: Path) -> SegError:
    if state.exists():
        problem = f"interrupted; the state is saved in {state}"
        return InterruptedRunError(problem, "", "continue with --resume")
    return InterruptedRunError("interrupted before any state was saved", "", "start again")
