"""Windows through buffers that stay where they are on the GPU, as the replay of a CUDA graph needs them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from .contract import Contract
from .preprocess import Float


class FixedBuffers:
    """One input and one output of a session on the GPU. Windows take turns, since a replay reads and writes these buffers."""

    def __init__(self, ort: Any, session: Any, contract: Contract, device: str = "cuda") -> None:
        shapes = [1, contract.channels, *contract.input_shape], [1, len(contract.classes), *contract.output_shape]
        self._session, self._lock = session, threading.Lock()
        self._image, self._logits = (
            ort.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, device, 0) for shape in shapes
        )
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input("image", self._image)
        self._binding.bind_ortvalue_output("logits", self._logits)

    def run(self, window: Float) -> Float:
        """Logits `(1, K, *output_shape)` float32 of one window `(1, C, *input_shape)` float32."""
        with self._lock:
            self._image.update_inplace(np.ascontiguousarray(window, np.float32))
            self._session.run_with_iobinding(self._binding)
            return np.array(self._logits.numpy())  # which may be a view of the buffer that the next window fills
