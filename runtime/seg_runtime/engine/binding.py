"""Windows through buffers that stay where they are on the GPU, as the replay of a CUDA graph needs them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model import Contract


class FixedBuffers:
    """One input and one output of a session on the GPU. Windows take turns, since a replay reads and writes these buffers."""

    def __init__(self, ort: Any, session: Any, contract: Contract, device: str) -> None:
        """Take memory on a device: `cuda`, or `cpu`."""
        n, maps = contract.file.batch, contract.answer.maps
        shapes = (
            [n, contract.input.channels, *contract.geometry.input_shape],
            [n, maps, *contract.geometry.output_shape],
        )
        self._session, self._lock = session, threading.Lock()
        # Windows come from pageable memory and answers go there: of the provider built into ONNX Runtime 1.32 Python reaches
        # no pinned memory. OrtDevice.make gives a device's default memory only, and OrtValue's `memory_info` wants an
        # allocator that the whole process shares, where CudaPinned belongs to the session ("No shared allocator found").
        self._image, self._logits = (
            ort.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, device, 0) for shape in shapes
        )
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input("image", self._image)
        self._binding.bind_ortvalue_output("logits", self._logits)

    def run(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits `(N, K, *output_shape)` float32 of the `N` windows `(N, C, *input_shape)` float32 that the file takes."""
        with self._lock:
            self._image.update_inplace(np.ascontiguousarray(windows, np.float32))
            self._session.run_with_iobinding(self._binding)
            return np.array(self._logits.numpy())  # which may be a view of the buffer that the next window fills
