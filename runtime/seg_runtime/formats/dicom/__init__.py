"""DICOM images in, DICOM SEG out."""

from .format import Dicom as Dicom
