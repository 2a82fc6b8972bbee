"""Import of a U-Net that was trained elsewhere: its weights, and a contract of our options, as a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

from seg_runtime.model import Intensity

from ..checkpoints import Checkpoint, digest_of, finished, fit_weights, read_state, save
from ..data import Report
from ..networks import torch_infer
from ..options import ImportOptions
from .objectives import score
from .plan import Bar, make_plan


def import_weights(data: Path, out: Path, options: ImportOptions, say: Report, bar: Bar) -> Checkpoint:
    """Write a checkpoint of foreign weights, and score it on all of DATA: a low score shows that an option is wrong.

    Args:
        data: images with masks.
        out: path of the checkpoint.
        options: of the import; see `foreign.fit_weights`.
        say: told every choice.
        bar: see `Bar`.

    Raises:
        SegError: options that leave open how the other network was fed, or that belong to training.
        ModelError: weights that do not fit the network of the options.
    """
    state = read_state(options.weights)
    plan = make_plan(data, out, options, say, bar)
    objective = plan.objective
    if measured := _measured(objective.contract.input.intensity, options.intensity):
        say(f"note: {measured} of the images in {data}: wrong unless the network was fed with the same")
    fit_weights(plan.model, state, options.skip_first)
    model = plan.model.to(plan.device).eval()
    cases = sorted([*plan.stream.cases, *plan.validation], key=lambda case: case.name)
    result, _ = score(objective, bar("scoring", len(cases))(cases), torch_infer(model, plan.device))
    imported = {
        "file": options.weights.name,
        "sha256": digest_of(options.weights),
        "skip_first": options.skip_first,
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    made = finished(
        model, objective.contract, objective.classes, objective.settings.reader,
        imported=imported, recipe=objective.settings.recipe,
        settings={"empty_dice": objective.settings.empty_dice}, validation=result,
    )  # fmt: skip
    save(made, out)
    return made


def _measured(intensity: Intensity, option: str) -> str:
    """What of the intensity was measured on DATA and not given in numbers, in words; empty for nothing."""
    if ":" in option or intensity.method == "scale":
        return ""
    figures = {
        "standardize": f"mean {_listed(intensity.mean)} and spread {_listed(intensity.std)}",
        "zscore": f"its smallest divisor, {intensity.std_floor:.4g},",
        "window": f"level {intensity.level:g} and width {intensity.width:g}",
    }
    return f"--intensity {intensity.method} takes {figures[intensity.method]}"


def _listed(values: Iterable[float]) -> str:
    return "+".join(f"{v:.4g}" for v in values)
