"""Precisions below fp32: int8 and fp16, each proven on real images before it is written."""

from .step import InPrecision as InPrecision
