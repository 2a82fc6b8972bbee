"""The step that adds the pipeline to the graph. Its results must be those of the runtime on the compared images."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from seg_runtime import Array, Contract, SegError
from seg_runtime.answers import answer_of
from seg_runtime.engine import open_graph
from seg_runtime.model import GROWTH_KEY, HostReadyFile

from ...proof import Picture, as_dtype, generated, generated_images, some
from ..step import Request, State, Step
from .compared import Compared, Grown
from .decisions import DECISIONS
from .graph import host_ready
from .growth import growth

IMAGES = 4  # whole images of a folder to compare, evenly spaced
SAMPLES = 2  # generated images of one window, for comparing later steps


class HostReady(Step):
    """Make the file take a whole image and return its labels, or the planes from which its objects grow."""

    def check(self, request: Request) -> None:
        """Check that there are operators for the decision rule of the answer, which the graph contains."""
        if (kind := request.contract.answer.kind) not in DECISIONS:
            raise SegError(f"a host-ready file cannot return {kind}", " or ".join(DECISIONS), "leave out --host-ready")

    def apply(self, state: State) -> None:
        """Change the graph.

        Raises:
            ParityError: if a result differs from that of the runtime by more than `Decision.levels`, or other objects grow
                from it, see `Compared` and `Grown`.
            ImageError: if an image does not fit into the dtype of the file.
        """
        options, windows = state.request.options, state.session
        file = HostReadyFile(state.contract.file.precision, options.image_dtype)
        contract = replace(state.contract, file=file)
        state.change(host_ready(state.graph, contract, options.host_probabilities), contract)
        images = list(_images(state.request.images, contract))
        compared, results = Compared(), []
        for done, image in enumerate(images, 1):
            results.append(state.session.run_image(image)[0])
            compared.add(results[-1], answer_of(windows.contract).stitched(image, windows.run), contract)
            state.progress("comparing host-ready results", done, len(images))
        state.note(parity={"host_ready": compared.as_dict()})
        state.request.watching.report(f"host-ready: {compared}", state.contract)
        compared.require()
        if contract.answer.separated:
            _add_growth(state, results)
        state.samples = [generated(values, contract).image() for values in generated_images(contract, SAMPLES)]


def _add_growth(state: State, results: Sequence[Array]) -> None:
    """Add the graph that grows the objects to the metadata of the file, after it has grown them for some planes.

    Raises:
        ParityError: if they are not those of the runtime.
    """
    content = growth(state.contract).SerializeToString(deterministic=True)
    session, grown, answer = open_graph(content, threads=1), Grown(), answer_of(state.contract)  # its steps are small
    for done, planes in enumerate(results, 1):
        grown.add(session.run(["objects", "classes"], {"planes": planes}), tuple(answer.whole(planes)[:2]))
        state.progress("comparing grown objects", done, len(results))
    state.note(parity={"growth": grown.as_dict()})
    state.request.watching.report(f"objects of the host-ready form: {grown}", state.contract)
    grown.require()
    state.entries[GROWTH_KEY] = base64.b64encode(content).decode()


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
