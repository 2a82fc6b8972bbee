"""What the data decides before a training: statistics, choices, and codes of classes."""

from .codes import coded as coded
from .codes import with_codes as with_codes
from .images import choose_augmentation as choose_augmentation
from .images import choose_channels as choose_channels
from .images import choose_intensity as choose_intensity
from .images import choose_pixels as choose_pixels
from .images import choose_value_augmentation as choose_value_augmentation
from .statistics import CaseStatistics as CaseStatistics
from .statistics import check_axes as check_axes
from .statistics import describe as describe
from .statistics import measure_data as measure_data
from .truth import choose_balance as choose_balance
from .truth import choose_border_weight as choose_border_weight
from .truth import choose_class_weights as choose_class_weights
from .truth import choose_geometry as choose_geometry
from .truth import choose_outputs as choose_outputs
from .truth import describe_outputs as describe_outputs
from .truth import scarce_classes as scarce_classes
