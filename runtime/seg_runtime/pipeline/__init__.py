"""Arrays only: preprocess, geometry, windows, stitching, test-time augmentation."""

from .fit import fitted as fitted
from .fit import has_opaque_alpha as has_opaque_alpha
from .fit import is_grey as is_grey
from .geometry import frame as frame
from .geometry import frame_labels as frame_labels
from .geometry import unframe as unframe
from .grid import Grid as Grid
from .grid import cut as cut
from .grid import mirror_index as mirror_index
from .intensity import Array as Array
from .intensity import Float as Float
from .intensity import Normaliser as Normaliser
from .intensity import count_labels as count_labels
from .intensity import dtype_maximum as dtype_maximum
from .intensity import mean_std as mean_std
from .tta import UPRIGHT as UPRIGHT
from .tta import VIEWS as VIEWS
from .tta import averaged as averaged
from .tta import check_turnable as check_turnable
from .windows import Infer as Infer
from .windows import Progress as Progress
from .windows import Timings as Timings
from .windows import activate as activate
from .windows import segment as segment
from .windows import slice_by_slice as slice_by_slice
from .windows import window_logits as window_logits
