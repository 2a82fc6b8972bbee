"""Checks: the self-test of a model file and the doctor, which examines a machine."""

from .doctor import doctor_table as doctor_table
from .doctor import examine as examine
from .selftest import run_self_test as run_self_test
from .selftest import self_test_table as self_test_table
