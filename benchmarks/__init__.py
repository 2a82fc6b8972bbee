import seg_runtime as seg_runtime  # before onnxruntime, since it turns off its telemetry
