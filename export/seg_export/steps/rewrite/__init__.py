"""Graph rewriting: the same function in operators that ONNX Runtime computes faster. One rewrite per file."""
