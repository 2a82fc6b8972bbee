"""ONNX graphs: made from torch, stamped with their contract."""
