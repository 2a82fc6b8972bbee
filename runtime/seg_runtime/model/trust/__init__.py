"""Which models may run: what a run requires, what the policy of the machine requires, and signatures."""

from .machine import Machine as Machine
from .machine import machine_requirements as machine_requirements
from .requirements import Requirements as Requirements
