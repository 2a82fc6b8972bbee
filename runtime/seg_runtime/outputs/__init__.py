"""Measures of objects, and files of objects that other programs open."""

from .measure import measured as measured
from .measure import measurements_of as measurements_of
from .measure import summary_of as summary_of
from .table import MEASURES as MEASURES
from .table import csv_of as csv_of
