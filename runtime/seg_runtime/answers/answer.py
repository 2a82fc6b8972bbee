"""What an answer is: from the logits of a window to the record, the files and the picture of an image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..formats import Output, Source
from ..model import AnswerSpec, Contract
from ..pipeline import Array, Float, Infer, Progress, Timings, segment
from ..support import ImageError, SegError

if TYPE_CHECKING:
    from PIL import Image


class Answer(ABC):
    """The answer of one model. Another package adds one by an entry point of the group `seg_edge.answers`.

    Attributes:
        Spec: what its contracts hold of it; the registry's name is the spec's kind.
        data: what its arrays are to whoever writes them: `labels`, class indices, or `values`, floats; see `formats`.
    """

    Spec: ClassVar[type[AnswerSpec]]
    data: ClassVar[str]

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    @abstractmethod
    def empty(self, shape: tuple[int, ...]) -> Array:
        """An array `(…, *shape)` for the answers of all windows, to be filled."""

    @abstractmethod
    def window(self, logits: Float) -> Array:
        """What becomes of the logits `(K, *spatial)` of a window, pixel by pixel: `(…, *spatial)`."""

    def whole(self, stitched: Array) -> Array:
        """The answer of an image, from what `window` gave for all of it `(…, *spatial)`, at the image's own size."""
        return stitched

    def margins(self, logits: Float) -> Float:
        """How far each pixel `(*spatial)` is from another class, in logits; asked only where the spec is `decided`."""
        raise NotImplementedError(f"{type(self).__name__} decides nothing")

    @abstractmethod
    def record(self, answer: Array) -> dict[str, Any]:
        """What the record of an image says about its answer, ready for JSON."""

    @abstractmethod
    def draw(self, image: Array, answer: Array) -> Image.Image:
        """An answer for the eye, with a legend; `image` is `(*spatial, C)`."""

    def outputs(self, source: Source, form: str = "") -> Sequence[Output]:
        """The files that are written for a source.

        Args:
            source: that is answered.
            form: of the first one, where its format has several.

        Raises:
            ImageError: the format has no place for such answers.
            SegError: the format has several forms, and not this one.
        """
        forms = source.format.outputs(self.data, source)
        if not forms:
            problem = f"{source.path} is {source.format.title}, where a model's {self.data} have no place"
            raise ImageError(problem, "PNG, JPEG, BMP or TIFF", "convert it")
        if form and form not in forms and len(forms) > 1:
            raise SegError(f"the form {form!r} for {source.format.title}", " or ".join(forms), "choose one of them")
        return [forms.get(form) or next(iter(forms.values()))]

    def segment(
        self, image: Array, infer: Infer, timings: Timings | None = None, progress: Progress | None = None
    ) -> Array:
        """The answer for an image.

        Args:
            image: `(*spatial, C)`, fitted to the contract.
            infer: the model.
            timings: receives milliseconds per stage.
            progress: called with windows done and windows in all.
        """
        return segment(image, self.contract, infer, self, timings, progress)[0]
