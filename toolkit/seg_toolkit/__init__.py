"""seg_toolkit: train a U-Net in PyTorch on images and masks."""
