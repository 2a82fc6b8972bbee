"""Read DICOM images and write DICOM SEG."""

from .format import Dicom as Dicom
