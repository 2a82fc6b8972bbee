"""Data sets: readers, cases, augmentation, training windows."""
