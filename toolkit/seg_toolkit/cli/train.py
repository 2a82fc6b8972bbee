"""seg-train: images and masks -> model.pt."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from seg_runtime.cli.commandline import Command
from seg_runtime.support.atomic import write_atomic
from seg_runtime.support.errors import InterruptedRunError, SegError
from seg_runtime.support.extras import require_extra

SHOWN_LOSSES = 20  # the bar shows the mean of so many


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    default="model.pt",
    help="The best checkpoint; log and pictures lie beside it.",
)
@click.option(
    "--evaluate",
    type=click.Path(path_type=Path),
    metavar="MODEL.PT",
    help="Do not train: score this checkpoint on DATA.",
)
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path), help="With --evaluate: write the scores here too."
)
@click.option(
    "--attention",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="With --evaluate: write where an attention network looks, a heat map for each gate.",
)
@click.option(
    "--metrics",
    metavar="NAME,…",
    help="What --evaluate measures besides: hd95 and surface-dice=PX of each class, PX being the tolerance, all in px or voxels; rand"
    " and voi of the objects that a membrane or background parts; none [default: what the model was trained with, else none].",
)
@click.option(
    "--tta",
    is_flag=True,
    help="With --evaluate: answer every window by the mean over it turned and mirrored in all eight ways, as seg-run --tta does.",
)
@click.option("--classes", help="NAME=VALUE,… of the masks, the background first: background=0,cell=255#ff8800.")
@click.option(
    "--codes",
    type=click.Path(path_type=Path),
    metavar="FILE.JSON",
    help="What each class is in DICOM's codes, by its name.",
)
@click.option("--network", default="unet", help="Of the family; --list-recipes shows what each task takes.")
@click.option(
    "--reader",
    help="How the data set lies in DATA, with options as in pairs:ring=3; nifti, brats and sparse are volumes [default: pairs,"
    " which is images/ and masks/; with --evaluate the model's own].",
)
@click.option("--channels", type=click.IntRange(1, 64), help="Image channels of the network; chosen from the data.")
@click.option(
    "--intensity", default="auto", help="auto, scale, standardize[:MEAN,SPREAD], zscore or window[:LEVEL,WIDTH]."
)
@click.option("--geometry", default="auto", help="auto, tile, fit or stretch.")
@click.option("--class-weights", default="auto", help="auto, none, root (1/sqrt(share)) or balance (1/share).")
@click.option(
    "--border-weight",
    type=float,
    help="w0 of the weight map between cells, 10 in the paper [default: 10 with instances and no masks, else 0].",
)
@click.option("--width", type=click.IntRange(1), help="Maps of the first level [default: the network's, 64 of unet].")
@click.option("--depth", type=click.IntRange(1, 6), help="Poolings [default: the network's, 4 of unet].")
@click.option("--input-size", help="Side of a window: 16k + 60 at depth 4 [default: the network's own, 572].")
@click.option("--skip", type=click.Choice(["crop", "resize"]), default="crop", help="What the skips carry.")
@click.option(
    "--padding",
    type=click.Choice(["valid", "same"]),
    default="valid",
    help="same pads every convolution; tiles stay exact, since the window's centre only is answered for.",
)
@click.option("--norm", type=click.Choice(["none", "batch", "instance"]), default="none", help="After convolutions.")
@click.option(
    "--margin",
    type=click.IntRange(0),
    metavar="PX",
    help="Ring that a padded network does not answer for; 0 for whole images [default: as much as it sees].",
)
@click.option(
    "--pretrained",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --network ternaus: begin with the weights of a torchvision vgg11 that lies here.",
)
@click.option(
    "--import",
    "foreign",
    type=click.Path(path_type=Path),
    metavar="STATE.PT",
    help="Do not train: take the weights of a U-Net trained elsewhere, and score them on DATA.",
)
@click.option("--skip-first", is_flag=True, help="The imported network joins a skip before the upsampled map.")
@click.option(
    "--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.1, help="At the end of the contracting path."
)
@click.option("--steps", type=click.IntRange(1), help="Optimizer steps [default: 3000].")
@click.option("--epochs", type=click.IntRange(1), help="Instead of --steps: passes over the training images.")
@click.option("--batch-size", type=click.IntRange(1), default=2)
@click.option("--lr", type=float, help="Learning rate [default: 1e-3 for adamw, 1e-4 for sgd].")
@click.option(
    "--optimizer", type=click.Choice(["adamw", "sgd"]), default="adamw", help="sgd has the paper's momentum of 0.99."
)
@click.option(
    "--dice-weight", type=click.FloatRange(0), default=1.0, help="Factor of the Dice term beside the cross-entropy."
)
@click.option(
    "--loss",
    metavar="NAME",
    help="Of values: l1, l2, ssim or a sum such as l1+ssim [default: l1, where the truth is values].",
)
@click.option("--outputs", metavar="NAMES", help="Of values: NAME[=UNIT],… of the outputs [default: the reader's].")
@click.option("--augment", default="auto", help="auto, none, slight or wide: how far grey values are varied.")
@click.option(
    "--balance",
    type=click.FloatRange(0, 1),
    help="Share of windows laid on a class drawn evenly; chosen from the data.",
)
@click.option(
    "--empty-dice",
    type=click.Choice(["skip", "one"]),
    help="Score of a class that an image lacks and the model does not find; skip counts it not at all [default: skip; with"
    " --evaluate the model's own].",
)
@click.option(
    "--val-fraction",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    help="Share of the images kept for validation.",
)
@click.option(
    "--val-list", type=click.Path(path_type=Path), help="Text file with the names of the validation images, one a line."
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Of weights, split and augmentation.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--workers", type=click.IntRange(0), default=1, help="Processes that prepare windows.")
@click.option("--overwrite", is_flag=True, help="Replace the model, or the unfinished run, that lies at --out.")
@click.option("--resume", is_flag=True, help="Continue the run that left its state beside --out.")
@click.option(
    "--recipe",
    is_eager=True,
    callback=lambda context, option, name: _take_recipe(context, name),
    help="Defaults that suit a task; options beside it go before them.",
)
@click.option(
    "--list-recipes",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, option, asked: _list_recipes(context, asked),
    help="Show them, a line each, and end.",
)
@click.version_option(package_name="seg-edge")
def main(data: Path, evaluate: Path | None, json_path: Path | None, out: Path, **options: Any) -> None:
    """Train a U-Net on DATA/images with DATA/masks or DATA/instances, and write the best checkpoint.

    What the images look like decides the defaults; each choice is printed with its reason and has an option.
    """
    require_extra("train", "torch", "scipy")
    if evaluate is not None:
        _evaluate(evaluate, data, json_path, options)
        return
    for name, value in (("json", json_path), ("attention", options["attention"]), ("tta", options["tta"])):
        if value:
            raise SegError(f"--{name} without --evaluate", "both", f"seg-train --evaluate MODEL.PT DATA --{name} …")
    if options["skip_first"] and not options["foreign"]:
        raise SegError("--skip-first without --import", "both", "leave it out")
    _check_network(options)
    if options["foreign"]:
        _import(data, out, options)
    else:
        _train(data, out, options)


def _take_recipe(context: click.Context, name: str | None) -> str | None:
    """Make a recipe's options the defaults of this call."""
    if name is not None:
        from ..planning.recipes import load

        known = {str(option.name) for option in context.command.params} - {"recipe", "list_recipes", "data", "out"}
        context.default_map = load(name, known).options
    return name


def _list_recipes(context: click.Context, asked: bool) -> None:
    if asked:
        from ..planning.recipes import load, names

        known = {str(option.name) for option in context.command.params}
        width = max(map(len, names()))
        for name in names():
            click.echo(f"{name:<{width}}  {load(name, known).title}")
        context.exit()


def _check_network(options: dict[str, Any]) -> None:
    """Refuse options that the network asked for would not look at; those of a recipe for another network are left out, aloud."""
    from ..networks import arguments_of, idle_options

    kind, source = options["network"], click.get_current_context().get_parameter_source
    idle: dict[Any, list[str]] = {}
    for name in idle_options(kind, options):
        idle.setdefault(source(name), []).append(_dashed(name))
    if given := idle.get(ParameterSource.COMMANDLINE):
        known = ", ".join(_dashed(name) for name in arguments_of(kind) if name in options and name != "classes")
        raise click.UsageError(f"{', '.join(given)} for the network {kind}, which takes {known}")
    if inherited := idle.get(ParameterSource.DEFAULT_MAP):
        _say(f"note: the network {kind} has no use for {', '.join(inherited)} of the recipe")


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _train(data: Path, out: Path, options: dict[str, Any]) -> None:
    if out.suffix == ".onnx":
        raise SegError(f"-o {out}", "a checkpoint's name, such as model.pt", "seg-export makes the ONNX file of it")
    from ..planning.plan import make_plan  # torch is heavy: --help and wrong options answer without it
    from ..training.train import resume_path, train

    say = _say
    plan = make_plan(data, out, options, say, _bar)
    say(f"training on {plan.device}: {plan.settings.steps} steps of {plan.settings.batch_size}, resumed from {plan.first_step}" if plan.first_step
        else f"training on {plan.device}: {plan.settings.steps} steps of {plan.settings.batch_size}")  # fmt: skip
    recent: list[float] = []
    scores: list[float] = []
    title = plan.aim.title
    with click.progressbar(
        length=plan.settings.steps,
        label="training",
        file=sys.stderr,
        item_show_func=lambda text: text,
        show_pos=True,
        update_min_steps=1,
    ) as bar:
        bar.update(plan.first_step)

        def watch(news: Any) -> None:
            if news.score is None:
                recent.append(news.loss)
                del recent[:-SHOWN_LOSSES]
                best = f"  best {title} {max(scores):.4f}" if scores else ""
                bar.update(1, f"loss {sum(recent) / len(recent):.4f}{best}")
                return
            scores.append(news.score)
            say(f"step {news.step}: loss {sum(recent) / len(recent):.4f}, validation {title} {news.score:.4f}")

        try:
            kept = train(
                plan.model, plan.contract, plan.settings, plan.stream, plan.validation, plan.classes, out,
                device=plan.device, workers=options["workers"], resume=plan.state, watch=watch,
            )  # fmt: skip
        except RuntimeError as error:  # torch has no class of its own for this on CPU
            if "memory" not in str(error):
                raise
            raise SegError("out of memory", "more of it", "lower --batch-size or --width") from error
        except KeyboardInterrupt:
            raise _interrupted(resume_path(out)) from None
    click.echo(plan.aim.table(kept.contract.provenance["validation"]))
    click.echo(f"wrote {out}")


def _import(data: Path, out: Path, options: dict[str, Any]) -> None:
    from ..data.folder import stored_classes
    from ..planning.adopt import adopt
    from ..training.objectives import aim_of

    kept = adopt(data, out, options, _say, _bar)
    aim = aim_of(kept.contract, stored_classes(kept.classes), {})
    click.echo(aim.table(kept.contract.provenance["validation"]))
    click.echo(f"wrote {out}")


def _interrupted(state: Path) -> SegError:
    if state.exists():
        return InterruptedRunError(
            f"interrupted; the state is kept in {state}", "", "go on with --resume and the same options"
        )
    return InterruptedRunError("interrupted before there was anything to keep", "", "start again")


def _evaluate(model: Path, data: Path, json_path: Path | None, options: dict[str, Any]) -> None:
    from seg_runtime.pipeline.tta import averaged

    from ..checkpoints.checkpoint import load
    from ..data.folder import parse_classes, recolored, stored_classes
    from ..data.readers import find_cases
    from ..evaluation.infer import torch_infer
    from ..evaluation.measures import check_installed, parse
    from ..planning.plan import pick_device, split
    from ..training.objectives import aim_of

    if json_path and json_path.resolve() == model.resolve():
        raise SegError(f"--json {json_path} is the model", "a file of its own", "choose another name")
    checkpoint = load(model)
    settings = checkpoint.contract.provenance.get("settings", {})
    wishes = parse(settings.get("metrics", "") if options["metrics"] is None else options["metrics"])
    if wishes and checkpoint.contract.answer.kind == "values":
        raise SegError(
            "--metrics of labels for a regression", "none", "leave it out: MAE, RMSE, PSNR and SSIM are told anyway"
        )
    check_installed(wishes)
    classes = stored_classes(checkpoint.classes)
    if options["classes"]:
        given = parse_classes(options["classes"])
        if len(given) != len(classes):
            raise SegError(f"--classes lists {len(given)}", f"the model's {len(classes)}", "list the same classes")
        classes = recolored(given, checkpoint.contract.classes)
    device = pick_device(options["device"])
    network = checkpoint.build().to(device)
    infer = torch_infer(network, device)
    if options["tta"]:
        infer = averaged(infer, checkpoint.contract)
    cases = find_cases(options["reader"] or checkpoint.reader, data, _say)
    if options["val_list"]:
        _, cases = split(cases, 0, options["val_list"], 0)
    if options["empty_dice"]:
        settings = {**settings, "empty_dice": options["empty_dice"]}
    aim = aim_of(checkpoint.contract, classes, settings)
    result = _scored(aim, cases, infer, wishes, settings.get("empty_dice", "skip"))
    if options["attention"]:
        _show_attention(network, cases, classes, checkpoint.contract, device, options["attention"])
    click.echo(aim.table(result))
    text = json.dumps({"model": str(model), "data": str(data), "tta": options["tta"], **result}, indent=2)
    click.echo(text)
    if json_path:
        write_atomic(json_path, lambda file: file.write((text + "\n").encode()))


def _scored(aim: Any, cases: Any, infer: Any, wishes: Any, empty: str) -> dict[str, Any]:
    from ..evaluation.measures import measure, with_measures

    figures, measures = [], []
    for judged in aim.judged(cases, infer, _bar("evaluating", len(cases))):
        figures.append(judged.figures)
        if wishes:
            measures.append(measure(wishes, judged.example, judged.answer, aim.classes, empty, judged.name))
    result: dict[str, Any] = aim.summary(figures)
    return with_measures(result, measures) if measures else result


def _show_attention(network: Any, cases: Any, classes: Any, contract: Any, device: Any, folder: Path) -> None:
    from seg_runtime.answers.overlay import fullest_slice
    from seg_runtime.pipeline.fit import fitted

    from ..evaluation.heatmap import attention_maps, write_pictures

    written = 0
    for case in _bar("drawing attention", len(cases))(cases):
        image = fitted(case.image(), contract, case.name)
        if image.ndim - 1 > len(contract.geometry.input_shape):  # of a volume the slice that the preview shows, too
            image = image[fullest_slice(case.read(classes).labels)]
        maps = attention_maps(network, image, contract, device)
        written += sum(1 for _ in write_pictures(folder, case.name, image, maps, contract))
    _say(f"wrote {written} heat maps to {folder}")


def _say(text: str) -> None:
    click.echo(text, err=True)


def _bar(label: str, length: int) -> Callable[[Iterable[Any]], Iterable[Any]]:
    def over(things: Iterable[Any]) -> Iterable[Any]:
        with click.progressbar(things, length=length, label=label, file=sys.stderr) as bar:
            yield from bar

    return over
