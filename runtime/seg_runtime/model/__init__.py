"""The model file: its contract, metadata, digest, signature and golden samples."""

from typing import TYPE_CHECKING

from ..support import import_on_access
from .answer import ANSWER_GROUP as ANSWER_GROUP
from .answer import SEPARATIONS as SEPARATIONS
from .answer import AnswerSpec as AnswerSpec
from .answer import ClassInfo as ClassInfo
from .answer import Code as Code
from .answer import LabelSpec as LabelSpec
from .answer import ObjectSpec as ObjectSpec
from .answer import OutputInfo as OutputInfo
from .answer import ValueSpec as ValueSpec
from .content import Content as Content
from .content import OpenModel as OpenModel
from .content import Trust as Trust
from .contract import GEOMETRIES as GEOMETRIES
from .contract import GOLDEN_KEY as GOLDEN_KEY
from .contract import GROWTH_KEY as GROWTH_KEY
from .contract import HOST_DTYPES as HOST_DTYPES
from .contract import METADATA_KEY as METADATA_KEY
from .contract import PRECISIONS as PRECISIONS
from .contract import Contract as Contract
from .contract import Geometry as Geometry
from .contract import HostReadyFile as HostReadyFile
from .contract import WindowFile as WindowFile
from .digest import sealed as sealed
from .input import INTENSITIES as INTENSITIES
from .input import ChannelFile as ChannelFile
from .input import Input as Input
from .input import Intensity as Intensity
from .input import Voxels as Voxels
from .limits import MAX_PIXELS as MAX_PIXELS
from .limits import PROBE_PACE as PROBE_PACE
from .modelfile import ModelFile as ModelFile
from .nested import from_json_value as from_json_value
from .nested import to_json_value as to_json_value
from .policy import Acquisition as Acquisition
from .policy import GreyRange as GreyRange
from .policy import Identity as Identity
from .policy import Policy as Policy
from .policy import Range as Range
from .trust import Machine as Machine
from .trust import Requirements as Requirements
from .trust import machine_requirements as machine_requirements

if TYPE_CHECKING:
    from .golden import FLIP_MARGIN_ERRORS as FLIP_MARGIN_ERRORS
    from .golden import FP32_LIMIT as FP32_LIMIT
    from .golden import Golden as Golden
    from .golden import Pixels as Pixels
    from .golden import Sample as Sample

if not TYPE_CHECKING:  # with a module __getattr__, a type checker would accept every name
    __getattr__ = import_on_access(
        __name__, {"golden": ("FLIP_MARGIN_ERRORS", "FP32_LIMIT", "Golden", "Pixels", "Sample")}
    )
