"""Kinds of answers: what logits become, what is recorded of them, how they are drawn."""
