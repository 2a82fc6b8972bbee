"""Read DICOM images and write DICOM SEG."""

from .format import Dicom as Dicom
from .library import Dataset as Dataset
from .library import discreet as discreet
from .read import NoPictureError as NoPictureError
from .study import Stack as Stack
from .study import find_stacks as find_stacks
from .write import SEG_FORMS as SEG_FORMS
from .write import Seg as Seg
