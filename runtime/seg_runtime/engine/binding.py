"""Run windows through fixed buffers on the GPU, as the replay of a CUDA graph requires."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model import Contract


class FixedBuffers:
    """The input and output buffer of a session on the GPU. Windows run one at a time, since they share these
    buffers."""

    def __init__(self, ort: Any, session: Any, contract: Contract, device: str) -> None:
        """Allocate the buffers on a device, `cuda` or `cpu`."""
        n, maps = contract.file.batch, contract.answer.maps
        shapes = (
            [n, contract.input.channels, *contract.geometry.input_shape],
            [n, maps, *contract.geometry.output_shape],
        )
        self._session, self._lock = session, threading.Lock()
        # Windows and results are copied from and to pageable memory: Python cannot use the pinned memory of the CUDA
        # provider built into ONNX Runtime 1.32. OrtDevice.make returns a device's default memory only, and OrtValue's
        # `memory_info` needs an allocator shared by the process, but CudaPinned belongs to the session ("No shared
        # allocator found").
        self._image, self._logits = (
            ort.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, device, 0) for shape in shapes
        )
        self._binding = session.io_binding()
        self._binding.bind_ortvalue_input("image", self._image)
        self._binding.bind_ortvalue_output("logits", self._logits)

    def run(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits `(N, K, *output_shape)` float32 of `N` windows `(N, C, *input_shape)` float32; N is the
        batch."""
        with self._lock:
            self._image.update_inplace(np.ascontiguousarray(windows, np.float32))
            self._session.run_with_iobinding(self._binding)
            return np.array(self._logits.numpy())  # a copy, since the next window overwrites the buffer
