"""Checkpoints: our own format, and weights of other programs."""
