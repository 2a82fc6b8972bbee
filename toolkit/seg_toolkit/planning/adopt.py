"""Adopt a U-Net that was trained elsewhere: its weights, and a contract of our options, as a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from seg_runtime.model.input import Intensity
from seg_runtime.support.errors import SegError
from seg_runtime.version import VERSION

from ..checkpoints.checkpoint import Checkpoint, save, weights_sha256
from ..checkpoints.foreign import digest_of, fit, read_state
from ..data.folder import json_values
from ..evaluation.infer import torch_infer
from ..networks import described
from .plan import Bar, Say, make_plan


def adopt(data: Path, out: Path, options: dict[str, Any], say: Say, bar: Bar) -> Checkpoint:
    """Write a checkpoint of foreign weights, and score it on all of DATA: a low score tells that an option is wrong.

    Args:
        data: images with masks.
        out: path of the checkpoint.
        options: of `seg-train`, among them `foreign`, the file, and `skip_first`; see `foreign.fit`.
        say: told every choice.
        bar: makes a progress bar of a label and a length.

    Raises:
        SegError: options that leave open how the other network was fed, or that belong to training.
        ModelError: weights that do not fit the network of the options.
    """
    if options["intensity"] == "auto":
        fix = "say it: --intensity scale divides by the dtype's maximum, the others are told in --help"
        raise SegError("--import without --intensity", "how the network was fed, which its weights do not tell", fix)
    for name in ("resume", "pretrained", "steps", "epochs"):
        if options[name]:
            raise SegError(f"--import with --{name}", "one of them", "an imported network is not trained")
    state = read_state(options["foreign"])
    plan = make_plan(data, out, options, say, bar)
    if plan.contract.answer.kind == "values":
        fix = "train it here"
        raise SegError(
            "--import where the truth is values", "labels: what its outputs stand for, weights do not tell", fix
        )
    if measured := _measured(plan.contract.input.intensity, options["intensity"]):
        say(f"note: {measured} of the images in {data}: wrong unless the network was fed with the same")
    fit(plan.model, state, options["skip_first"])
    model = plan.model.to(plan.device).eval()
    cases = sorted([*plan.stream.cases, *plan.validation], key=lambda case: case.name)
    infer = torch_infer(model, plan.device)
    figures = [judged.figures for judged in plan.aim.judged(cases, infer, bar("scoring", len(cases)))]
    provenance = {
        "weights_sha256": weights_sha256(model),
        "seg-edge": VERSION,
        "torch": str(torch.__version__),
        "imported": {
            "file": options["foreign"].name,
            "sha256": digest_of(options["foreign"]),
            "skip_first": options["skip_first"],
            "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        },
        "network": described(model),
        "recipe": plan.settings.recipe,
        "settings": {"empty_dice": plan.settings.empty_dice},
        "validation": plan.aim.summary(figures),
    }
    contract = replace(plan.contract, provenance=provenance)
    weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    kept = Checkpoint(described(model), weights, contract, json_values(plan.classes), reader=plan.settings.reader)
    save(kept, out)
    return kept


def _measured(intensity: Intensity, asked: str) -> str:
    """What of the intensity was measured on DATA and not asked for in numbers, in words; empty for nothing."""
    if ":" in asked or intensity.method == "scale":
        return ""
    figures = {
        "standardize": f"mean {_listed(intensity.mean)} and spread {_listed(intensity.std)}",
        "zscore": f"its smallest divisor, {intensity.std_floor:.4g},",
        "window": f"level {intensity.level:g} and width {intensity.width:g}",
    }
    return f"--intensity {intensity.method} takes {figures[intensity.method]}"


def _listed(values: Iterable[float]) -> str:
    return "+".join(f"{v:.4g}" for v in values)
