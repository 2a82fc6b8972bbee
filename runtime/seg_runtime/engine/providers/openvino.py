"""Intel's processors by OpenVINO."""

from __future__ import annotations

from typing import Any

from .provider import Provider


class OpenVINO(Provider):
    """OpenVINO on the CPU. Its memory is its own, so that none is given back."""

    name = "openvino"
    label = "OpenVINO"
    ort_name = "OpenVINOExecutionProvider"
    extra = "openvino"

    def settings(self) -> dict[str, str]:
        """ACCURACY: in the model's own precision, whatever OpenVINO's default for this processor may be."""
        return {"device_type": "CPU", "precision": "ACCURACY", "num_of_threads": str(self.threads)}

    def repair(self, ort: Any) -> str:
        """Its wheel once more."""
        return "pip install --force-reinstall onnxruntime-openvino"
