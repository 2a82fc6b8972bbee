"""The command line `seg-run`."""

from .run import main as main
