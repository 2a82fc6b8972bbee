"""`python -m seg_edge` runs `seg-edge`."""

from seg_edge import seg_edge

seg_edge()
