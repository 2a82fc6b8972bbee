"""Intel processors with OpenVINO."""

from __future__ import annotations

from typing import Any

from .provider import Provider


class OpenVINO(Provider):
    """OpenVINO on the CPU. It manages its own memory, which ONNX Runtime cannot shrink."""

    name = "openvino"
    label = "OpenVINO"
    ort_name = "OpenVINOExecutionProvider"
    extra = "openvino"

    def settings(self) -> dict[str, str]:
        """Return the options. ACCURACY keeps the precision of the model, whatever OpenVINO's default for the processor
        is."""
        return {"device_type": "CPU", "precision": "ACCURACY", "num_of_threads": str(self.threads)}

    def repair(self, ort: Any) -> str:
        """Advise to reinstall the wheel."""
        return "run `pip install --force-reinstall onnxruntime-openvino`"
