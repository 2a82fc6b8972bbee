"""Read, check and hash a model file in a separate thread.

Reading and hashing (124 MB for the paper's network) release the GIL, so that other imports continue meanwhile.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from ..support import SegError
from .content import Content, Trust, read_content
from .trust import Requirements, machine_requirements


class ModelFile:
    """The content of a model file. Reading starts when the object is created.

    >>> ModelFile(b"no model").take()
    Traceback (most recent call last):
    seg_runtime.support.errors.ModelError: model is not an ONNX model, or it is truncated or damaged (wire type 6 ...
    """

    def __init__(self, model: str | Path | bytes) -> None:
        """Start to read.

        Args:
            model: path of an ONNX file, or its content.
        """
        self._outcome: Content | BaseException | None = None
        self._foreign = True
        self._thread = threading.Thread(target=self._read, args=(model,), daemon=True)
        self._thread.start()

    @classmethod
    def made(cls, content: bytes) -> ModelFile:
        """Return a file that this program has just made, to which the policy of the machine does not apply."""
        file = cls(content)
        file._foreign = False
        return file

    def take(self, require: Requirements = Requirements()) -> Content:  # noqa: B008 - frozen
        """Return the content, if the model may run: the one way to it, so that no caller can forget the check.

        This works once, so that the caller decides how long the content stays in memory.

        Args:
            require: what the model must be, besides what the policy of the machine requires.

        Raises:
            ModelError: the file cannot be read, is not an ONNX file, is damaged or exceeds the limits of `onnxfile`; or
                it is not as required, or the policy of the machine cannot be used.
            ContractError: the file has no contract.
            SegError: see `Requirements.check`.
        """
        self._thread.join()
        outcome, self._outcome = self._outcome, None
        if isinstance(outcome, Content):
            return self._checked(outcome, require)
        raise outcome or SegError("the content of this ModelFile was already taken", "", "create a new one")

    def _checked(self, content: Content, require: Requirements) -> Content:
        keys = [require.check(content)]
        if not self._foreign:
            return replace(content, trust=Trust(require.given, (), keys[0]))
        machine = machine_requirements()
        keys.append(machine.requirements.check(content, machine.name))
        return replace(content, trust=Trust(require.given, machine.requirements.given, next(filter(None, keys), "")))

    def _read(self, model: str | Path | bytes) -> None:
        try:
            self._outcome = read_content(model)
        except BaseException as error:  # raised by take()
            self._outcome = error
