"""The whole pipeline as one ONNX graph, for hosts that know nothing of seg-edge."""

from .step import HostReady as HostReady
