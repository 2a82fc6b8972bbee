"""Readers: one for each public layout of data sets."""

from .registry import PAIRS as PAIRS
from .registry import READERS as READERS
from .registry import read_data_set as read_data_set
