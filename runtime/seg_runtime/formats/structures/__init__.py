"""Read structures of proteins and nucleic acids, and write maps that are aligned with them."""

from .atoms import Ligand as Ligand
from .atoms import Structure as Structure
from .atoms import read_structure as read_structure
from .format import Site as Site
from .format import Structures as Structures
from .voxels import CHANNELS as CHANNELS
from .voxels import Lattice as Lattice
