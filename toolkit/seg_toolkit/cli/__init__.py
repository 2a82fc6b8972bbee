"""Commands for training and scoring: `seg-train`, `seg-edge evaluate`, `import` and `recipes`."""
