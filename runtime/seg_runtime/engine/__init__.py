"""ONNX Runtime: providers, sessions, buffers, caches.

`Session`, `Ensemble` and `nvidia_report` are imported from their modules, which import numpy or ctypes: a command line reads
the model before that.
"""

from .hardware import available_threads as available_threads
from .hardware import cpu_features as cpu_features
from .hardware import cpu_name as cpu_name
from .hardware import cpu_quota as cpu_quota
from .installation import quiet as quiet
from .installation import runtime_module as runtime_module
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
