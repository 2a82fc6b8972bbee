"""Basic utilities: errors, atomic writes, folders, registries, optional packages. Nothing here imports numpy."""

from ..version import VERSION as VERSION
from ..version import versions_of as versions_of
from .atomic import check_writable as check_writable
from .atomic import write_atomic as write_atomic
from .capabilities import Rule as Rule
from .capabilities import check as check
from .errors import ContractError as ContractError
from .errors import DataError as DataError
from .errors import ImageError as ImageError
from .errors import InterruptedRunError as InterruptedRunError
from .errors import ModelError as ModelError
from .errors import OptionsError as OptionsError
from .errors import ParityError as ParityError
from .errors import ProviderError as ProviderError
from .errors import SegError as SegError
from .errors import SelfTestError as SelfTestError
from .extras import require_extra as require_extra
from .folders import list_files as list_files
from .folders import named as named
from .lazy import import_on_access as import_on_access
from .registry import Registry as Registry
from .registry import instance_of as instance_of
from .registry import subclass_of as subclass_of
from .tables import table as table
from .telemetry import disable_telemetry as disable_telemetry
