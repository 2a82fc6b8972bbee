"""The proof that a form of the model agrees with the torch model."""
