"""Compare how an image was acquired with what the model was made for, since a network answers any image."""

from __future__ import annotations

from ..model import Acquisition, Contract
from ..support import ImageError
from .intensity import Array
from .scaling import Scaling


def check_origin(
    image: Array,
    acquisition: Acquisition,
    contract: Contract,
    name: str,
    accept_foreign: bool,
    scaling: Scaling,
) -> tuple[list[str], list[str]]:
    """Check that a model was made for an image.

    Args:
        image: `(*spatial, C)` as read.
        acquisition: how it was acquired.
        contract: contract of the model, whose policy decides.
        name: name of the image.
        accept_foreign: whether to accept an image that the model was not made for.
        scaling: how it is resampled to the pixel size of the training images.

    Returns:
        What is foreign about an accepted image, such as "modality MR instead of CT", and warnings about it in sentences.

    Raises:
        ImageError: the model was not made for the image.
    """
    policy, kind = contract.policy, "integer" if image.dtype.kind == "u" else "float"
    found = policy.refusals(acquisition, integer=kind == "integer")
    if kind != contract.input.pixels and contract.input.intensity.method != "window" and accept_foreign:
        found.append(f"{kind} grey values instead of {contract.input.pixels} ones")  # else `fitted` refuses it
    if found and not accept_foreign:
        advice = "use a model for such images, or pass --accept-foreign to segment it all the same"
        raise ImageError(f"{name} has {'; '.join(found)}", "images like those that the model was made for", advice)
    odd = [*found, *policy.warnings(scaling.acquired(acquisition))]
    return found, [f"{name} has {text}, so the result may be wrong" for text in odd]
