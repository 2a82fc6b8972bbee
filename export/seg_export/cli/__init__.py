"""The command line `seg-export`."""

from .export import main as main
