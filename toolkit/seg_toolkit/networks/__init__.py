"""Networks, one per file. Each maps a window to the logits of its centre."""

from .device import LAYOUT as LAYOUT
from .device import autocast as autocast
from .device import pick_device as pick_device
from .device import torch_infer as torch_infer
from .family import NETWORKS as NETWORKS
from .family import build as build
from .network import Network as Network
from .transfer import KeptMap as KeptMap
from .transfer import invert as invert
from .transfer import transfer as transfer
