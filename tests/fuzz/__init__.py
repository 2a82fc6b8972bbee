"""Fuzzing: whatever the content of a file is, a reader returns or raises a `SegError`, within bounds of memory and time.

A target is one function of bytes, with a small corpus that is made by code. `test_short.py` runs a few hundred damaged
inputs of each target with a fixed seed. `make fuzz` runs for minutes with a seed from the clock.
"""
