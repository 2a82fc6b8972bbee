"""The commands that run a model, and `seg-edge`, which has all commands."""
