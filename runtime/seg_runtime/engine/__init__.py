"""ONNX Runtime: providers, sessions, buffers, caches."""

from typing import TYPE_CHECKING

from ..support import import_on_access
from .hardware import available_threads as available_threads
from .hardware import cpu_features as cpu_features
from .hardware import cpu_name as cpu_name
from .hardware import cpu_quota as cpu_quota
from .installation import quiet as quiet
from .installation import runtime_module as runtime_module
from .installation import runtime_versions as runtime_versions
from .installation import wheels as wheels
from .opening import check_wheels as check_wheels
from .opening import open_graph as open_graph
from .opening import open_on as open_on
from .options import AUTO as AUTO
from .options import RunOptions as RunOptions
from .options import Tuning as Tuning
from .providers import PROVIDERS as PROVIDERS
from .providers import Provider as Provider
from .providers import candidates as candidates

if TYPE_CHECKING:
    from .ensemble import Ensemble as Ensemble
    from .ensemble import Model as Model
    from .nvidia import nvidia_report as nvidia_report
    from .session import Session as Session

if not TYPE_CHECKING:  # with a module __getattr__, a type checker would accept every name
    __getattr__ = import_on_access(
        __name__, {"ensemble": ("Ensemble", "Model"), "nvidia": ("nvidia_report",), "session": ("Session",)}
    )
