"""Kinds of files: how each is recognised, read and written."""
