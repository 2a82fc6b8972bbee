"""The model file: its contract, metadata, digest, signature, golden samples and limits."""
