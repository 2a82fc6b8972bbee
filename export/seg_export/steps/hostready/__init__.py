"""The whole pipeline as one ONNX graph, for programs without seg-edge."""

from .step import HostReady as HostReady
