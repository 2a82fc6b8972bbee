"""Scores of a model: metrics, measures and heat maps of attention."""

from .attention import write_attention as write_attention
from .chance import interval as interval
from .chance import telling as telling
from .instances import ObjectScores as ObjectScores
from .instances import object_summary as object_summary
from .instances import object_table as object_table
from .matching import THRESHOLDS as THRESHOLDS
from .matching import Matching as Matching
from .matching import Overlap as Overlap
from .matching import match_objects as match_objects
from .matching import merges as merges
from .matching import seg_score as seg_score
from .matching import splits as splits
from .measures import Measure as Measure
from .measures import measure as measure
from .measures import with_measures as with_measures
from .metrics import VALUE_METRICS as VALUE_METRICS
from .metrics import Confusion as Confusion
from .metrics import confusion as confusion
from .metrics import dice as dice
from .metrics import iou as iou
from .metrics import label_summary as label_summary
from .metrics import or_none as or_none
from .metrics import over_images as over_images
from .metrics import value_scores as value_scores
