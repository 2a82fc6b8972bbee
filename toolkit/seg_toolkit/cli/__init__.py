"""Commands for training and scoring: `seg-train`, `seg-edge check`, `evaluate`, `import` and `recipes`."""
