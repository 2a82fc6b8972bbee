"""Arrays only: preprocess, geometry, windows, stitching, test-time augmentation."""
