"""Precisions int8 and fp16, proven on real images before the file is written."""

from .step import InPrecision as InPrecision
