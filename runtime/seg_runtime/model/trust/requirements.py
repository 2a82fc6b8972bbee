"""What a model must be, so that it may run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from ...support import ContractError, ModelError, OptionsError
from ..content import Content
from ..policy import Identity

_SHA256 = re.compile(r"[0-9a-f]{64}")
_APPROVED = "use an approved model"


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What a model must be, so that it may run. An empty field requires nothing; all others must be met.

    Anyone can write a name and a version into a file: they show which model it is only if a signature or a SHA-256 is
    required too.

    >>> Requirements(models={"liver-ct": "1.2"}, sha256=("ab",))
    Traceback (most recent call last):
    seg_runtime.support.errors.OptionsError: the required SHA-256 is 'ab'; expected 64 hexadecimal digits...

    Attributes:
        signature: PEM file of a public key; the model must be signed with the matching private key.
        models: name of each allowed model -> its lowest allowed version, empty for any.
        sha256: allowed digests of the whole file.

    Raises:
        OptionsError: a version or a digest is none.
    """

    signature: str | Path | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    sha256: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the versions and the digests, and write these in lower case."""
        for name, version in self.models.items():
            try:
                Identity(name, version)
            except ContractError as error:
                problem = f"the required model is {name!r} in version {version!r}"
                expected = "a name of at most 64 letters, and a version such as 1.2 or none"
                raise OptionsError(problem, expected, "correct it") from error
            if not name:
                raise OptionsError("the required model has no name", "a name", "add it, or leave out the version")
        object.__setattr__(self, "sha256", tuple(digest.lower() for digest in self.sha256))
        if odd := next((digest for digest in self.sha256 if not _SHA256.fullmatch(digest)), None):
            advice = "print that of a file with sha256sum, or Get-FileHash on Windows"
            raise OptionsError(f"the required SHA-256 is {odd!r}", "64 hexadecimal digits", advice)

    @property
    def given(self) -> tuple[str, ...]:
        """Names of the fields that require something."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name))

    def check(self, content: Content, source: str = "") -> str:
        """Check that a model meets them.

        Args:
            content: the model.
            source: what requires it, for errors, such as "the policy of this machine"; empty for the options of a run.

        Returns:
            The SHA-256 of the public key that verified its signature; empty if none is required.

        Raises:
            ModelError: it does not.
            ContractError: a name is required, and this version cannot read the contract, which holds it.
            SegError: the key cannot be read, or the extra `sign` is not installed.
        """
        by = f", as {source} requires" if source else ", as required"
        if self.sha256 and content.sha256 not in self.sha256:
            allowed = " or ".join(self.sha256[:2]) if len(self.sha256) < 3 else f"one of {len(self.sha256)} others"
            raise ModelError(f"{content.name} has the SHA-256 {content.sha256}", f"{allowed}{by}", _APPROVED)
        if self.models:
            self._check_identity(content, by)
        return self._verified_key(content, by)

    def _check_identity(self, content: Content, by: str) -> None:
        identity = content.contract.identity
        lowest = self.models.get(identity.name) if identity.name else None
        if lowest is not None and identity.release >= Identity(version=lowest).release:
            return
        allowed = [f"{name} {version} or newer" if version else name for name, version in self.models.items()]
        called = f"{identity.name} {identity.version}".rstrip() if identity.name else "a model without a name"
        advice = f"{_APPROVED}; seg-export sets its name with --name and its version with --model-version"
        raise ModelError(f"{content.name} is {called}", f"{' or '.join(allowed)}{by}", advice)

    def _verified_key(self, content: Content, by: str) -> str:
        if not self.signature:
            return ""
        if content.path is None:
            problem = "a model that is passed as bytes has no signature"
            raise ModelError(problem, f"a signed file{by}", "pass the path of the file, or require no signature")
        from .signature import check_signature  # slow to import

        return check_signature(content.path, content.sha256, Path(self.signature))
