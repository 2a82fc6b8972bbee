"""Which images a model was trained on and which chose its best weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Split:
    """The images of a training: the digest of each one, see `data.image_digest`, by its name.

    Names of images stay in the checkpoint and in the file beside it. They are no part of the contract, because a name may
    tell who a patient is.

    Attributes:
        training: images that the weights were fitted to.
        validation: images whose score chose the weights that are kept.
    """

    training: Mapping[str, str] = field(default_factory=dict)
    validation: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether the images are known; imported weights do not tell."""
        return bool(self.training or self.validation)

    def uses(self) -> dict[str, str]:
        """Return what each image was used for by its digest, `training` or `validation`.

        >>> Split({"a": "1"}, {"b": "2"}).uses()
        {'1': 'training', '2': 'validation'}
        """
        return {digest: use for use, images in self.to_dict().items() for digest in images.values()}

    def counts(self) -> dict[str, int]:
        """Return how many images each use has."""
        return {use: len(images) for use, images in self.to_dict().items()}

    def to_dict(self) -> dict[str, dict[str, str]]:
        """Return the split as a dictionary, which JSON and checkpoints can store."""
        return {"training": dict(self.training), "validation": dict(self.validation)}

    @classmethod
    def stored(cls, values: Any) -> Split:
        """Read the result of `to_dict`.

        Raises:
            ValueError: if it has another form.
        """
        if not isinstance(values, Mapping) or not all(
            _are_digests(values.get(use, {})) for use in ("training", "validation")
        ):
            raise ValueError("the split is not made of names and digests")
        return cls(dict(values.get("training", {})), dict(values.get("validation", {})))


def _are_digests(images: Any) -> bool:
    return isinstance(images, Mapping) and _are_texts(images.keys()) and _are_texts(images.values())


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
