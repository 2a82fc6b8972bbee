"""Statistics of a data set, from which the choices of a training are made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from seg_runtime.model import Acquisition, Policy
from seg_runtime.pipeline import GreyValues, is_grey, mean_std, training_range
from seg_runtime.support import DataError, counted

from ..data import Case, ClassValues, DataSet, Example, Progress, image_digest, sized
from .looks import Look
from .reading import each


@dataclass(frozen=True)
class TargetStatistics:
    """Statistics of the targets of one case, `(K,)` float64 each, in their own units."""

    count: int
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def of(cls, targets: NDArray[Any]) -> TargetStatistics:
        """Compute the statistics of targets `(*spatial, K)`."""
        flat = targets.reshape(-1, targets.shape[-1])
        low, high = (np.asarray(end(axis=0), np.float64) for end in (flat.min, flat.max))
        mean, std = flat.mean(axis=0, dtype=np.float64), flat.std(axis=0, dtype=np.float64)
        return cls(len(flat), low, high, mean, std)


MOST_CONTRADICTED = 0.1
"""Largest fraction of the px of objects that masks may contradict."""


@dataclass(frozen=True)
class ObjectStatistics:
    """Statistics of the instances of a case.

    Attributes:
        areas: number of px of each object.
        contradicted: fraction of the px of objects or of the foreground that are in one of them only.
        scattered: number of objects that consist of several pieces.
    """

    areas: NDArray[np.int64]
    contradicted: float
    scattered: int

    @classmethod
    def of(cls, example: Example) -> ObjectStatistics:
        """Compute the statistics of the annotated pixels of an example with instances."""
        assert example.instances is not None
        known = True if example.known is None else example.known
        instances = np.where(known, example.instances, 0)
        areas = np.bincount(instances.ravel())[1:]
        objects, mask = instances > 0, (example.labels > 0) & known
        contradicted = int((objects != mask).sum()) / max(1, int((objects | mask).sum()))
        touching = np.ones((3,) * instances.ndim)  # also by corners, as a thin object may
        boxes = enumerate(ndimage.find_objects(instances), 1)
        pieces = [ndimage.label(instances[box] == number, touching)[1] for number, box in boxes if box is not None]
        return cls(areas[areas > 0], contradicted, sum(count > 1 for count in pieces))


@dataclass(frozen=True)
class CaseStatistics:
    """Statistics of one case.

    Attributes:
        name: name of the case.
        digest: SHA-256 of the decoded image, so that a renamed or re-saved copy has the same one.
        shape: shape of the image, `(*spatial)`.
        dtype: dtype of the image.
        channels: number of channels; a grey image that is saved in colour has one.
        mean: mean per channel, as a fraction of the dtype's maximum.
        std: standard deviation per channel, as a fraction of the dtype's maximum.
        percentiles: 0.5 and 99.5 percentiles of the raw grey values.
        pixels: `(K,)` numbers of annotated pixels of each class; one number without classes.
        wide_share: fraction of the foreground in objects wider than an output window.
        grey_values: where the grey values lie.
        targets: statistics of regression targets, else None.
        acquisition: how the image was acquired.
        look: what the image looks like, to compare it with others.
        objects: statistics of its instances; None without instances.
    """

    name: str
    digest: str
    shape: tuple[int, ...]
    dtype: str
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    percentiles: tuple[float, float]
    pixels: NDArray[np.int64]
    wide_share: float
    grey_values: GreyValues
    targets: TargetStatistics | None = None
    acquisition: Acquisition = field(default_factory=Acquisition)
    look: Look = field(default_factory=Look)
    objects: ObjectStatistics | None = None

    @classmethod
    def of(
        cls, case: Case, example: Example, data: DataSet, classes: Sequence[ClassValues], output_px: int
    ) -> CaseStatistics:
        """Compute the statistics of a case that was read; the other arguments are those of `DataStatistics`."""
        image, labels = example.image, example.labels
        known = labels if example.known is None else labels[example.known]
        if not data.channel_files:  # else each file is a channel, whatever its content
            image = _without_equal_channels(image)
        mean, std = mean_std(image)
        low, high = np.percentile(image[:: max(1, len(image) // 256)], [0.5, 99.5])
        return cls(
            case.name, image_digest(example.image), image.shape[:-1], str(image.dtype), image.shape[-1],
            tuple(mean.tolist()), tuple(std.tolist()), (float(low), float(high)),
            np.bincount(known.ravel(), minlength=len(classes)), _wide_share(labels, output_px), GreyValues.of(image),
            None if example.targets is None else TargetStatistics.of(example.targets), case.acquisition(),
            Look.of(image, labels if example.plain is None else example.plain),
            None if example.instances is None else ObjectStatistics.of(example),
        )  # fmt: skip


@dataclass(frozen=True)
class DataStatistics:
    """Statistics of a data set, or of a part of it.

    Attributes:
        cases: statistics of the cases.
        data: data set.
        classes: classes with their mask values; empty if the ground truth is not a mask.
        output_px: smallest side of an output window in px.
    """

    cases: Sequence[CaseStatistics]
    data: DataSet
    classes: Sequence[ClassValues] = ()
    output_px: int = 0

    @classmethod
    def of(
        cls, data: DataSet, classes: Sequence[ClassValues], output_px: int,
        progress: Progress = iter,
    ) -> DataStatistics:  # fmt: skip
        """Compute the statistics of all cases. Each case is read once.

        Args:
            data: data set.
            classes: classes with their mask values.
            output_px: smallest side of an output window in px.
            progress: wraps the cases to show progress.

        Raises:
            DataError: if an image and its mask differ in size, a mask value is unknown, or an image cannot be read; the
                message names all cases.
        """

        def measured(case: Case) -> CaseStatistics:
            return CaseStatistics.of(case, case.read(classes), data, classes, output_px)

        return cls(each(data.cases, measured, progress), data, classes, output_px)

    def part(self, cases: Iterable[Case]) -> DataStatistics:
        """Select the statistics of some cases."""
        names = {case.name for case in cases}
        return replace(self, cases=[statistics for statistics in self.cases if statistics.name in names])

    @property
    def digests(self) -> dict[str, str]:
        """Digest of each image by the name of its case."""
        return {case.name: case.digest for case in self.cases}

    @property
    def class_shares(self) -> NDArray[np.float64]:
        """Fraction of all annotated pixels per class, `(K,)`."""
        counts = np.sum([s.pixels for s in self.cases], axis=0)
        return np.asarray(counts / counts.sum())

    @property
    def scarce_classes(self) -> dict[int, list[int]]:
        """Classes that occur in fewer than half of the images, with the indices of these images."""
        found: dict[int, list[int]] = {}
        for index in range(len(self.cases[0].pixels)):
            places = [place for place, case in enumerate(self.cases) if case.pixels[index]]
            if 0 < len(places) < len(self.cases) / 2:
                found[index] = places
        return found

    @property
    def pixels(self) -> str:
        """Kind of grey values, `integer` or `float`.

        Raises:
            DataError: if the data set has both kinds.
        """
        kinds = {("integer" if np.dtype(s.dtype).kind == "u" else "float"): s.name for s in self.cases}
        if len(kinds) > 1:
            problem = f"{kinds['integer']} has integers, but {kinds['float']} has floats"
            raise DataError(problem, "one kind of grey values", "convert the images to one dtype")
        return next(iter(kinds))

    def policy(self, axes: int) -> Policy:
        """Return the policy of a model that is trained on this data set with windows of so many axes."""
        grey_values = training_range([case.grey_values for case in self.cases])
        return Policy.learnt([case.acquisition for case in self.cases], grey_values, axes)

    def check_axes(self, axes: int) -> None:
        """Check that the cases are volumes if the network takes volumes. Volumes are valid for networks of slices.

        Raises:
            DataError: if a case is an image; the message names the first one.
        """
        if flat := next((s for s in self.cases if len(s.shape) < axes), None):
            advice = "choose another --network or another --reader"
            raise DataError(f"{flat.name} is an image, but the network takes volumes", "", advice)

    def described(self) -> list[str]:
        """Format the statistics for the user, one per line."""
        sizes = Counter(sized(s.shape) for s in self.cases).most_common()
        kinds = Counter(f"{s.dtype}, {s.channels} channel{'s' * (s.channels > 1)}" for s in self.cases).most_common()
        stds = [float(np.mean(s.std)) for s in self.cases]
        unsigned = all(np.dtype(s.dtype).kind == "u" for s in self.cases)
        shown = ", ".join(f"{n} × {size}" for size, n in sizes[:6]) + (" …" if len(sizes) > 6 else "")
        lines = [
            f"{counted(len(self.cases), 'image')}: {shown}",
            "pixels: " + "; ".join(f"{n} × {kind}" for kind, n in kinds),
            f"grey values: spread per image {min(stds):.3f} to {max(stds):.3f}"
            + (" of the full range" if unsigned else " (raw values)"),
        ]
        if made_for := self.policy(2).described():
            lines.append(f"made for: {made_for}; seg-run refuses other images, or warns of them")
        if self.classes:
            shares = zip(self.classes, self.class_shares, strict=True)
            lines.append("classes: " + ", ".join(f"{c.info.name} {share:.2%}" for c, share in shares))
        return lines


def _without_equal_channels(image: NDArray[Any]) -> NDArray[Any]:
    """Reduce three equal channels to one."""
    return image[..., :1] if image.shape[-1] == 3 and is_grey(image) else image


def _wide_share(labels: NDArray[np.uint8], output_px: int) -> float:
    if max(labels.shape) <= 2 * output_px or labels.ndim > 2:
        return 0.0  # a window shows most of such an image, and volumes are always tiled
    parts, _ = ndimage.label(labels > 0)
    sizes = np.bincount(parts.ravel())
    boxes = ndimage.find_objects(parts)
    wide = [i for i, box in enumerate(boxes, 1) if max(s.stop - s.start for s in box) > output_px]
    return float(sizes[wide].sum() / max(1, sizes[1:].sum()))
