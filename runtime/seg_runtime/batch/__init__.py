"""Many inputs: find them, run them, write results, resume."""
