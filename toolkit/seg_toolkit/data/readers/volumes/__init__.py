"""Readers of data sets of volumes."""
