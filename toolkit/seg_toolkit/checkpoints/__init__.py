"""Checkpoints of seg-train, and weights of other programs."""

from .checkpoint import Checkpoint as Checkpoint
from .checkpoint import is_checkpoint as is_checkpoint
from .checkpoint import load as load
from .checkpoint import save as save
from .checkpoint import weights_sha256 as weights_sha256
from .foreign import Shape as Shape
from .foreign import check_layers as check_layers
from .foreign import digest_of as digest_of
from .foreign import fit_weights as fit_weights
from .foreign import read_state as read_state
from .foreign import shape_of as shape_of
from .split import Split as Split
