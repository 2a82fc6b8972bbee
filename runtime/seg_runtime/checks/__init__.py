"""The self-test of a model file and the doctor of a machine."""
