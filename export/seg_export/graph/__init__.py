"""Shared helpers for ONNX graphs, and writing them to files."""

from .chatter import silenced as silenced
from .nodes import with_node_names as with_node_names
from .stamp import IR_VERSION as IR_VERSION
from .stamp import OPSET as OPSET
from .stamp import stamped as stamped
