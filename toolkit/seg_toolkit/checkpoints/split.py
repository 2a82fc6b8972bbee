"""Which images a model was trained on and which chose its best weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Split:
    """The images of a training: the digest of each one, see `data.image_digest`, by its name.

    Names of images stay in the checkpoint and in the file beside it. They are no part of the contract, because a name may
    tell who a patient is.

    Attributes:
        training: images that the weights are fitted to.
        validation: images whose score chose the weights that are kept.
        earlier: digests of further images that the weights have seen: those that a continued run had before, and those of
            the model that the training started from.
    """

    training: Mapping[str, str] = field(default_factory=dict)
    validation: Mapping[str, str] = field(default_factory=dict)
    earlier: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether the images are known; imported weights do not tell."""
        return bool(self.training or self.validation)

    @property
    def seen(self) -> frozenset[str]:
        """Digests of all images that the weights have seen."""
        return frozenset(self.training.values()).union(self.earlier)

    def uses(self) -> dict[str, str]:
        """Return what each image was used for by its digest, `training` or `validation`; training, if both.

        >>> Split({"a": "1"}, {"b": "2", "copy": "1"}, ("0",)).uses() == {"0": "training", "1": "training", "2": "validation"}
        True
        """
        chosen = dict.fromkeys(self.validation.values(), "validation")
        return {**chosen, **dict.fromkeys(self.seen, "training")}

    def after(self, digests: Iterable[str]) -> Split:
        """Return the split with images that the weights have seen earlier."""
        earlier = {*self.earlier, *digests} - set(self.training.values())
        return replace(self, earlier=tuple(sorted(earlier)))

    def counts(self) -> dict[str, int]:
        """Return how many images are for training and for validation."""
        return {"training": len(self.training), "validation": len(self.validation)}

    def to_dict(self) -> dict[str, Any]:
        """Return the split as a dictionary, which JSON and checkpoints can store."""
        return {"training": dict(self.training), "validation": dict(self.validation), "earlier": list(self.earlier)}

    @classmethod
    def stored(cls, values: Any) -> Split:
        """Read the result of `to_dict`.

        Raises:
            ValueError: if it has another form.
        """
        fits = isinstance(values, Mapping) and all(
            _are_digests(values.get(use, {})) for use in ("training", "validation")
        )
        earlier = values.get("earlier", []) if fits else None
        if not isinstance(earlier, list) or not _are_texts(earlier):
            raise ValueError("the split is not made of names and digests")
        return cls(dict(values.get("training", {})), dict(values.get("validation", {})), tuple(earlier))


def _are_digests(images: Any) -> bool:
    return isinstance(images, Mapping) and _are_texts(images.keys()) and _are_texts(images.values())


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
