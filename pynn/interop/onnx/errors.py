"""What is raised for models that are valid, but not for pynn."""


class UnsupportedError(ValueError):
    """The model is valid, but has something that pynn does not have; the message names it."""
