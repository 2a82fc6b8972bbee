"""Graph rewriting: the same function in operators that ONNX Runtime computes faster."""

from .fastest import Fastest as Fastest
from .fastest import fastest as fastest
from .step import Rewrite as Rewrite
