"""Arrays only: preprocess, geometry, windows, stitching, test-time augmentation."""

from .fit import fitted as fitted
from .fit import has_opaque_alpha as has_opaque_alpha
from .fit import is_grey as is_grey
from .geometry import frame as frame
from .geometry import frame_labels as frame_labels
from .geometry import unframe as unframe
from .postprocess import activate as activate
from .postprocess import count_labels as count_labels
from .postprocess import stitch as stitch
from .preprocess import Array as Array
from .preprocess import Float as Float
from .preprocess import Grid as Grid
from .preprocess import dtype_maximum as dtype_maximum
from .preprocess import mean_std as mean_std
from .preprocess import normaliser as normaliser
from .preprocess import plan as plan
from .preprocess import windows as windows
from .windows import Infer as Infer
from .windows import Progress as Progress
from .windows import Timings as Timings
from .windows import segment as segment
from .windows import slice_by_slice as slice_by_slice
from .windows import window_logits as window_logits
