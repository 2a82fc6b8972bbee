"""seg_export: export a PyTorch checkpoint to one ONNX file that is proven equivalent."""
