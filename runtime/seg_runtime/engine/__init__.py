"""ONNX Runtime: providers, sessions, buffers, caches."""
