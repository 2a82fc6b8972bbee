"""What an export does with a graph, step by step.

Here is what every step needs; the steps themselves are in the folders and modules, and `pipeline` puts them in order.
"""

from .step import Request as Request
from .step import State as State
from .step import Step as Step
