"""Sizes that command lines show before anything heavy is imported."""

MAX_PIXELS = 178_956_970  # of an image, all pages, or voxels of a volume, all channels; the size from which Pillow itself calls one a decompression bomb
PROBE_PACE = 16  # px: a host-ready file gives every 16th logit of each window, its output `probe`, for the self-test
