"""The commands that run a model, and `seg-edge`, which groups all commands."""
