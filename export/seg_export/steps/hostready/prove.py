"""A host-ready file is written only if its labels are those of the Python runtime, on every pixel of every image compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from seg_runtime.answers import answer_of
from seg_runtime.engine.session import Session
from seg_runtime.model.contract import Contract
from seg_runtime.pipeline import Array, dtype_maximum
from seg_runtime.support.errors import ImageError, ParityError

from ...graph.stamp import stamped
from ...proof.parity import generated_images
from ...proof.pictures import Picture, some
from .graph import host_contract, host_ready

IMAGES = 4  # of a folder, whole, evenly spaced


@dataclass(frozen=True)
class HostForm:
    """What the host-ready file takes and gives."""

    dtype: str = "uint8"
    probabilities: bool = False


def hosted(
    network: onnx.ModelProto, proven: Session, contract: Contract, host: HostForm, images: Sequence[Picture],
    watch: Callable[[int, int], None],
) -> tuple[onnx.ModelProto, Contract]:  # fmt: skip
    """Graph and contract of a host-ready file that agrees with the runtime.

    Args:
        network: the window form's graph.
        proven: the window form itself, compared with torch already.
        contract: of the window form, with its parity.
        host: of what kind.
        images: real ones; none takes generated ones.
        watch: called with images compared and images in all.

    Raises:
        ParityError: a pixel differs.
        SegError: a dtype that the model was not trained on.
    """
    contract = host_contract(contract, host.dtype)
    graph = host_ready(network, contract, host.probabilities)
    session = Session(stamped(graph, contract), provider="cpu")
    samples = list(_samples(images, contract))
    differing = pixels = 0
    for done, image in enumerate(samples, 1):
        wanted = answer_of(proven.contract).segment(image, proven.run)
        differing += int((session.run_image(image)[0] != wanted).sum())
        pixels += wanted.size
        watch(done, len(samples))
    figures = {"images": len(samples), "pixels": pixels, "differing": differing}
    if differing:
        came = f"{differing} of {pixels} px differ between the host-ready form and the runtime"
        raise ParityError(came, "none", "nothing was written; report this model")
    return graph, replace(contract, parity={**contract.parity, "host_ready": figures})


def sizes(contract: Contract) -> list[tuple[int, int]]:
    """Where seams, mirrors and resizing can go wrong: one pixel, less than a window, one pixel over, not square."""
    (rows, columns), (step, _) = contract.geometry.output_shape, contract.geometry.step
    return [(1, 1), (rows // 3, columns // 2 + 1), (rows, columns), (rows + 1, 7), (step + 1, columns + step + 5)]


def _samples(images: Sequence[Picture], contract: Contract) -> Iterator[Array]:
    """Whole images, and crops or mirrored extensions of them in the sizes that matter, `(H, W, C)` of the host's dtype."""
    real = [picture.part(contract) for picture in some(images, IMAGES)]
    whole = real or list(generated_images(contract, 2))
    cast = [_as_host(image, contract) for image in whole]
    yield from cast
    for place, shape in enumerate(sizes(contract)):
        image = cast[place % len(cast)]
        over = [(0, max(0, n - have)) for n, have in zip(shape, image.shape[:2], strict=True)]
        yield np.pad(image, [*over, (0, 0)], "symmetric")[: shape[0], : shape[1]]


def _as_host(image: Array, contract: Contract) -> Array:
    """The image in the host's dtype, its grey values on that dtype's scale."""
    dtype = np.dtype(contract.file.dtype)
    if image.dtype == dtype:
        return image
    if contract.input.intensity.method == "window":  # raw values keep their meaning
        cast = image.astype(dtype)
        if (cast != image).any():
            came = f"the images have grey values of {image.dtype} that {dtype} cannot hold"
            raise ImageError(came, "a dtype that holds them", f"pass --host-dtype {image.dtype}")
        return cast
    scale = dtype_maximum(dtype) / dtype_maximum(image.dtype)
    if dtype.kind == "u" and scale < 1:
        raise ImageError(
            f"the images are {image.dtype}", f"{dtype} as --host-dtype says", f"pass --host-dtype {image.dtype}"
        )
    return (image * np.float64(scale)).astype(dtype)
