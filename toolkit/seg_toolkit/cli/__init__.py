"""The commands that train and score: `seg-train`, `seg-edge evaluate`, `import` and `recipes`."""
