"""seg-train: images and masks -> model.pt."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from seg_runtime.cli.commandline import Command
from seg_runtime.cli.options import options_of
from seg_runtime.support import InterruptedRunError, SegError, check, require_extra, write_atomic

from ..options import (
    RECIPES,
    RULES,
    DataOptions,
    EvaluateOptions,
    ImportOptions,
    Request,
    TrainOptions,
    load_recipe,
)

_SHOWN_LOSSES = 20  # the bar shows the mean of so many
_O = TypeVar("_O", bound=DataOptions)


def _filled(options: type[_O], values: Mapping[str, Any], **more: Any) -> _O:
    return options(**{field.name: values[field.name] for field in options.options().values()}, **more)


def _take_recipe(context: click.Context, option: click.Parameter, name: str | None) -> str:
    """Make a recipe's options the defaults of this call."""
    if name is not None:
        context.default_map = dict(load_recipe(name).options)
    return name or ""


def _list_recipes(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        names = RECIPES.names()
        width = max(map(len, names))
        for name in names:
            click.echo(f"{name:<{width}}  {load_recipe(name).title}")
        context.exit()


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), default="model.pt",
    help="The best checkpoint; log and pictures lie beside it.",
)  # fmt: skip
@click.option(
    "--recipe", is_eager=True, callback=_take_recipe,
    help="Defaults that suit a task; options on the command line override it.",
)  # fmt: skip
@click.option(
    "--list-recipes", is_flag=True, is_eager=True, expose_value=False, callback=_list_recipes,
    help="Show the recipes, a line each, and end.",
)  # fmt: skip
@options_of(TrainOptions, ImportOptions, EvaluateOptions)
@click.version_option(package_name="seg-edge")
@click.pass_context
def main(context: click.Context, /, data: Path, out: Path, recipe: str, **values: Any) -> None:
    """Train a U-Net on DATA/images with DATA/masks or DATA/instances, and write the best checkpoint.

    The images decide the defaults; each choice is printed with its reason and has an option.
    """
    require_extra("train", "torch", "scipy")
    options: DataOptions
    if values["model"]:
        options = _filled(EvaluateOptions, values)
    elif values["weights"]:
        options = _filled(ImportOptions, values, recipe=recipe)
    else:
        options = _filled(TrainOptions, values, recipe=recipe)
    source = context.get_parameter_source
    given = frozenset(name for name in context.params if source(name) is ParameterSource.COMMANDLINE)
    for note in check(RULES, Request(options=options, given=given)):
        _say(f"note: {note}")
    if isinstance(options, EvaluateOptions):
        _evaluate(data, options)
    elif isinstance(options, ImportOptions):
        _import(data, out, options)
    elif isinstance(options, TrainOptions):
        _train(data, out, options)


def _train(data: Path, out: Path, options: TrainOptions) -> None:
    if out.suffix == ".onnx":
        raise SegError(f"-o {out}", "a checkpoint's name, such as model.pt", "seg-export makes the ONNX file of it")
    from ..training import make_plan, train  # torch is heavy: --help and wrong options answer without it

    plan = make_plan(data, out, options, _say, _bar)
    title, steps = plan.objective.title, plan.settings.steps
    resumed = f", resumed from {plan.first_step}" if plan.first_step else ""
    _say(f"training on {plan.device}: {steps} steps of {plan.settings.batch_size}{resumed}")
    recent: list[float] = []
    scores: list[float] = []
    with click.progressbar(
        length=steps, label="training", file=sys.stderr, item_show_func=lambda text: text, show_pos=True,
        update_min_steps=1,
    ) as bar:  # fmt: skip
        bar.update(plan.first_step)

        def watch(step: int, loss: float, score: float | None) -> None:
            if score is None:
                recent.append(loss)
                del recent[:-_SHOWN_LOSSES]
                best = f"  best {title} {max(scores):.4f}" if scores else ""
                bar.update(1, f"loss {sum(recent) / len(recent):.4f}{best}")
                return
            scores.append(score)
            _say(f"step {step}: loss {sum(recent) / len(recent):.4f}, validation {title} {score:.4f}")

        try:
            kept = train(plan, workers=options.workers, watch=watch)
        except RuntimeError as error:  # torch has no class of its own for this on CPU
            if "memory" not in str(error):
                raise
            raise SegError("out of memory", "more of it", "lower --batch-size or --width") from error
        except KeyboardInterrupt:
            raise _interrupted(plan.files.state) from None
    click.echo(plan.objective.table(kept.contract.provenance["validation"]))
    click.echo(f"wrote {out}")


def _interrupted(state: Path) -> SegError:
    if state.exists():
        came = f"interrupted; the state is kept in {state}"
        return InterruptedRunError(came, "", "go on with --resume and the same options")
    return InterruptedRunError("interrupted before there was anything to keep", "", "start again")


def _import(data: Path, out: Path, options: ImportOptions) -> None:
    from ..training import import_weights

    objective, result = import_weights(data, out, options, _say, _bar)
    click.echo(objective.table(result))
    click.echo(f"wrote {out}")


def _evaluate(data: Path, options: EvaluateOptions) -> None:
    from ..training import evaluate

    target = options.json_path
    if target and target.resolve() == options.model.resolve():
        raise SegError(f"--json {target} is the model", "a file of its own", "choose another name")
    objective, result = evaluate(data, options, _say, _bar)
    click.echo(objective.table(result))
    text = json.dumps({"model": str(options.model), "data": str(data), "tta": options.tta, **result}, indent=2)
    click.echo(text)
    if target:
        write_atomic(target, lambda file: file.write((text + "\n").encode()))


def _say(text: str) -> None:
    click.echo(text, err=True)


def _bar(label: str, length: int) -> Callable[[Iterable[Any]], Iterable[Any]]:
    def over(things: Iterable[Any]) -> Iterable[Any]:
        with click.progressbar(things, length=length, label=label, file=sys.stderr) as bar:
            yield from bar

    return over
