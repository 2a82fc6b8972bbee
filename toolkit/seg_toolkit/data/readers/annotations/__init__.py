"""Readers of outlines in JSON files: COCO and LabelMe."""

from .coco import find_coco as find_coco
from .labelme import find_labelme as find_labelme
