"""Readers, one for each public data set layout."""

from .registry import PAIRS as PAIRS
from .registry import READERS as READERS
from .registry import fits as fits
from .registry import read_data_set as read_data_set
from .registry import with_option as with_option
