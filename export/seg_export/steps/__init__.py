"""Steps of an export.

This package defines the interface of a step. The steps are in its modules and subpackages; `pipeline` runs them in order.
"""

from .step import Request as Request
from .step import State as State
from .step import Step as Step
