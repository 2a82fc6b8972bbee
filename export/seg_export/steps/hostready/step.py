"""The step that adds the pipeline to the graph. All its labels must equal those of the runtime on the compared images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from seg_runtime import Array, Contract, ParityError, SegError
from seg_runtime.answers import Labels, answer_of
from seg_runtime.model import HostReadyFile

from ...proof import Picture, as_dtype, generated, generated_images, some
from ..step import Request, State, Step
from .graph import host_ready

IMAGES = 4  # whole images of a folder to compare, evenly spaced
SAMPLES = 2  # generated images of one window, for comparing later steps


class HostReady(Step):
    """Make the file take a whole image and return its labels."""

    def check(self, request: Request) -> None:
        """Check that the model predicts labels, because the graph contains their decision rule."""
        if not isinstance(answer_of(request.contract), Labels):
            problem = f"a host-ready file cannot return {request.contract.answer.kind}"
            raise SegError(problem, "labels", "leave out --host-ready")

    def apply(self, state: State) -> None:
        """Change the graph.

        Raises:
            ParityError: if a label differs from that of the runtime.
            ImageError: if an image does not fit into the dtype of the file.
        """
        options, windows = state.request.options, state.session
        file = HostReadyFile(state.contract.file.precision, options.image_dtype)
        contract = replace(state.contract, file=file)
        state.change(host_ready(state.graph, contract, options.host_probabilities), contract)
        images = list(_images(state.request.images, contract))
        differing = pixels = 0
        for done, image in enumerate(images, 1):
            labels = answer_of(windows.contract).segment(image, windows.run)
            differing += int((state.session.run_image(image)[0] != labels).sum())
            pixels += labels.size
            state.progress("comparing host-ready labels", done, len(images))
        state.note(parity={"host_ready": {"images": len(images), "pixels": pixels, "differing": differing}})
        figures = f"host-ready: {differing} of {pixels} px differ on {len(images)} images"
        state.request.watching.report(figures, state.contract)
        if differing:
            problem = f"{differing} of {pixels} px differ between the host-ready form and the runtime"
            raise ParityError(problem, "", "nothing was written; report this model")
        state.samples = [generated(values, contract).image() for values in generated_images(contract, SAMPLES)]


def sizes(contract: Contract) -> list[tuple[int, int]]:
    """Critical image sizes for seams, mirroring and resizing: one pixel, less than a window, one pixel more, not square."""
    (rows, columns), (step, _) = contract.geometry.output_shape, contract.geometry.step
    return [(1, 1), (rows // 3, columns // 2 + 1), (rows, columns), (rows + 1, 7), (step + 1, columns + step + 5)]


def _images(images: Sequence[Picture], contract: Contract) -> Iterator[Array]:
    """Yield whole images, and crops or mirrored extensions in critical sizes, `(H, W, C)` in the dtype of the file."""
    real = [picture.part(contract) for picture in some(images, IMAGES)]
    whole = real or list(generated_images(contract, 2))
    cast = [as_dtype(image, np.dtype(contract.file.dtype), contract) for image in whole]
    yield from cast
    for place, shape in enumerate(sizes(contract)):
        image = cast[place % len(cast)]
        over = [(0, max(0, n - have)) for n, have in zip(shape, image.shape[:2], strict=True)]
        yield np.pad(image, [*over, (0, 0)], "symmetric")[: shape[0], : shape[1]]
