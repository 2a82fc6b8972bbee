"""Base class of answers: from the logits of a window to the record, the files and the overlay of an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..formats import Output, PageResult, Source
from ..model import AnswerSpec, Contract
from ..pipeline import Array, Float, Infer, Progress, Scaling, Timings, segment
from ..support import ImageError

if TYPE_CHECKING:
    from PIL import Image


class Answer(ABC):
    """The answer of a model. Other packages add kinds with entry points of the group `seg_edge.answers`.

    Attributes:
        Spec: class of its part of the contract; its name in the registry is `Spec.kind`.
        data: type of its arrays for file formats: `labels` (class indices), `values` (floats) or `objects` (ids); see
            `formats`.
    """

    Spec: ClassVar[type[AnswerSpec]]
    data: ClassVar[str]

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    @abstractmethod
    def empty(self, shape: tuple[int, ...]) -> Array:
        """Return an array `(…, *shape)` that the results of all windows are written to."""

    @abstractmethod
    def window(self, logits: Float) -> Array:
        """Convert the logits `(K, *spatial)` of a window to the result `(…, *spatial)`, pixel by pixel."""

    def whole(self, stitched: Array) -> Array:
        """Return the result of an image from the stitched results `(…, *spatial)` of `window`, at the size of the
        image."""
        return stitched

    def unscaled(self, answer: Array, scaling: Scaling) -> Array:
        """Return a result on the grid of the image, from that on the grid of the network."""
        return scaling.back(answer)

    def decided(self, stitched: Array) -> Array:
        """Return what is decided for each pixel `(*spatial)` uint8, such as its class, from results `(…, *spatial)` of
        `window`. Only called if the spec is `decided`."""
        return stitched

    def decision(self, logits: Float) -> Array:
        """Return what is decided for each pixel `(*spatial)` of a window; see `decided`."""
        return self.decided(self.window(logits))

    def stitched(self, image: Array, infer: Infer) -> Array:
        """Return the stitched results of `window` for an image, by the pipeline, without `whole`; see `segment`."""
        return segment(image, self.contract, infer, _Stitched(self))[0]

    def margins(self, logits: Float) -> Float:
        """Return the distance in logits of each pixel `(*spatial)` to another decision. Only called if the spec is
        `decided`."""
        raise NotImplementedError(f"{type(self).__name__} does not assign classes")

    def part(self, answer: Array, data: str) -> Array | None:
        """Return a part of a result by its type, see `data`; None if there is no such part."""
        return answer if data == self.data else None

    @abstractmethod
    def record(self, answer: Array) -> dict[str, Any]:
        """Return the facts about a result for the record, ready for JSON."""

    @abstractmethod
    def draw(self, image: Array, answer: Array) -> Image.Image:
        """Draw a result with a legend; `image` is `(*spatial, C)`."""

    def draw_objects(self, image: Array, answer: Array, ids: Array) -> Image.Image:
        """Draw a result with its objects, `ids` `(*spatial)`, if they are no part of it."""
        return self.draw(image, answer)

    def confidence(self, result: PageResult) -> Float | None:
        """Return the probability `(*spatial)` of what is decided for each pixel of a result, 0..1; None if unknown."""
        return None

    def outputs(self, source: Source, wanted: Collection[str] = (), data: str = "") -> Sequence[Output]:
        """Return the files to write for a source.

        Args:
            source: the input.
            wanted: forms of the file. The one that the format has is taken, otherwise its first one.
            data: part of the result to write, see `part`; empty for the whole result.

        Raises:
            ImageError: the format cannot hold such results.
        """
        data = data or self.data
        forms = source.format.outputs(data, source)
        if not forms:
            problem = f"{source.path} is {source.format.title}, a format that cannot hold {data}"
            raise ImageError(problem, "a PNG, JPEG, BMP or TIFF image", "convert it")
        return [next((output for form, output in forms.items() if form in wanted), next(iter(forms.values())))]

    def segment(
        self, image: Array, infer: Infer, timings: Timings | None = None, progress: Progress | None = None
    ) -> Array:
        """Return the result for an image.

        Args:
            image: `(*spatial, C)`, fitted to the contract.
            infer: the model.
            timings: receives the milliseconds per stage.
            progress: called with the number of windows done and their total.
        """
        return segment(image, self.contract, infer, self, timings, progress)[0]


class _Stitched:
    """The stitched results of an answer, as an answer of its own."""

    def __init__(self, answer: Answer) -> None:
        self.empty, self.window = answer.empty, answer.window

    def whole(self, stitched: Array) -> Array:
        return stitched
