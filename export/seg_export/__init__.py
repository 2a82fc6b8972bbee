"""seg_export: a torch checkpoint becomes one ONNX file, proven equal."""
