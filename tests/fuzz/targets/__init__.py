"""The targets, by the kind of file."""
