"""Sizes that command lines show before anything heavy is imported."""

MAX_PIXELS = 178_956_970  # of an image, all pages; the size from which Pillow itself calls one a decompression bomb
