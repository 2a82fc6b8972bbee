"""Turn off the telemetry of ONNX Runtime."""

from __future__ import annotations

import os
import sys
import warnings

_SWITCH = "ORT_DISABLE_TELEMETRY"


def disable_telemetry() -> None:
    """Set the variable that ONNX Runtime reads when it is imported; child processes inherit it.

    From version 1.29 on, ONNX Runtime otherwise writes an identifier of the device and a database to the user's cache
    folder, and sends events to Microsoft. Its function `disable_telemetry_events` comes too late for both. So a program
    that has imported onnxruntime before gets a warning.
    """
    if "onnxruntime" in sys.modules and not os.environ.get(_SWITCH):
        text = (
            "onnxruntime was imported before seg_runtime, so its telemetry may be on. "
            f"Import seg_runtime first, or set {_SWITCH}=1."
        )
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    os.environ[_SWITCH] = "1"
