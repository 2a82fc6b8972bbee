"""The step that adds the pipeline to the graph. Its results must be those of the runtime on the compared images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from seg_runtime import Array, Contract, ParityError, SegError
from seg_runtime.answers import answer_of, unmatched
from seg_runtime.model import HostReadyFile

from ...proof import Picture, as_dtype, generated, generated_images, some
from ..step import Request, State, Step
from .decisions import DECISIONS
from .graph import host_ready

IMAGES = 4  # whole images of a folder to compare, evenly spaced
SAMPLES = 2  # generated images of one window, for comparing later steps


@dataclass
class Compared:
    """Results of the host-ready form and of the runtime for whole images."""

    images: int = 0
    pixels: int = 0
    differing: int = 0
    """Number of pixels that differ."""
    beyond: int = 0
    """Number of pixels that differ by more than `Decision.levels`."""
    objects: int = 0
    """Number of objects of the runtime."""
    unmatched: int = 0
    """Number of objects of either side without a partner on the other."""

    def add(self, result: Array, wanted: Array, contract: Contract) -> None:
        """Compare the stitched results `(…, H, W)` for one image."""
        axes, answer = tuple(range(len(contract.answer.result_axes))), answer_of(contract)
        self.images += 1
        self.pixels += math.prod(wanted.shape[-2:])
        self.differing += int((result != wanted).any(axis=axes).sum())
        self.beyond += int(DECISIONS[contract.answer.kind].beyond(result, wanted).any(axis=axes).sum())
        if contract.answer.separated:
            ids, others = (answer.part(answer.whole(planes), "objects") for planes in (wanted, result))
            assert ids is not None
            assert others is not None
            self.objects += int(ids.max(initial=0))
            self.unmatched += unmatched(ids, others)

    def __str__(self) -> str:
        """All figures in words."""
        objects = f", {self.unmatched} of {self.objects} objects have no partner" if self.objects else ""
        return f"{self.differing} of {self.pixels} px differ on {self.images} images{objects}"

    def as_dict(self) -> dict[str, int]:
        """The figures for the contract."""
        return {
            "images": self.images,
            "pixels": self.pixels,
            "differing": self.differing,
            **({"objects": self.objects, "unmatched": self.unmatched} if self.objects else {}),
        }

    def require(self) -> None:
        """Check the limits.

        Raises:
            ParityError: if one is exceeded.
        """
        if self.beyond or self.unmatched:
            lost = f", and {self.unmatched} objects have no partner" if self.unmatched else ""
            problem = f"{self.beyond} of {self.pixels} px differ between the host-ready form and the runtime{lost}"
            raise ParityError(problem, "", "nothing was written; report this model")


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
                from it.
            ImageError: if an image does not fit into the dtype of the file.
        """
        options, windows = state.request.options, state.session
        file = HostReadyFile(state.contract.file.precision, options.image_dtype)
        contract = replace(state.contract, file=file)
        state.change(host_ready(state.graph, contract, options.host_probabilities), contract)
        compared = Compared()
        images = list(_images(state.request.images, contract))
        for done, image in enumerate(images, 1):
            compared.add(
                state.session.run_image(image)[0], answer_of(windows.contract).stitched(image, windows.run), contract
            )
            state.progress("comparing host-ready results", done, len(images))
        state.note(parity={"host_ready": compared.as_dict()})
        state.request.watching.report(f"host-ready: {compared}", state.contract)
        compared.require()
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
