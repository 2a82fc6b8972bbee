"""What is decided before the first training step."""
