"""Choices from the data before a training: statistics, choices, and DICOM codes of classes."""

from .choices import choose_augmentation as choose_augmentation
from .choices import choose_balance as choose_balance
from .choices import choose_channels as choose_channels
from .choices import choose_class_weights as choose_class_weights
from .choices import choose_geometry as choose_geometry
from .choices import choose_intensity as choose_intensity
from .choices import choose_outputs as choose_outputs
from .choices import parse_intensity as parse_intensity
from .classes import choose_classes as choose_classes
from .classes import parse_classes as parse_classes
from .classes import snap_strays as snap_strays
from .codes import coded as coded
from .codes import with_codes as with_codes
from .looks import POSES as POSES
from .looks import Look as Look
from .masks import MaskError as MaskError
from .masks import MaskSurvey as MaskSurvey
from .masks import StrayValuesError as StrayValuesError
from .masks import missing_classes as missing_classes
from .reading import each as each
from .statistics import MOST_CONTRADICTED as MOST_CONTRADICTED
from .statistics import CaseStatistics as CaseStatistics
from .statistics import DataStatistics as DataStatistics
from .swapped import swapped as swapped
