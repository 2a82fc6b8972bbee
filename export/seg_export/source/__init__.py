"""What training left: the network as a graph, data sets as pictures. Only this folder and `pipeline` know of torch."""

from .network import resized as resized
from .network import to_onnx as to_onnx
from .pictures import pictures as pictures
