"""The training loop, its objectives and losses."""
