"""Limits that the help shows, in a module that imports nothing."""

# px of an image in all pages, or voxels of a volume in all channels; above it, Pillow raises DecompressionBombError
MAX_PIXELS = 178_956_970
PROBE_PACE = 16  # px: `probe`, an output of host-ready files for the self-test, holds every 16th logit of each window
