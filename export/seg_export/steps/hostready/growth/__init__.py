"""Objects grown from the stitched planes of an image, as a second ONNX graph, for programs without seg-edge."""

from .graph import growth as growth
