"""Scores of a model: metrics, measures, pictures of attention."""
