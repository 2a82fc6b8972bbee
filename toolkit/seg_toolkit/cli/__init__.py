"""The command line `seg-train`."""

from .train import main as main
