"""What holds for the tests and for the examples of docstrings alike."""

import os
import sys

import pytest

import pynn


@pytest.fixture(autouse=True)
def same_weights_in_ci():
    """In CI, models without a seed of their own begin with the same weights in each run; elsewhere with any."""
    if os.environ.get("CI"):
        pynn.manual_seed(0)
        if "torch" in sys.modules:
            sys.modules["torch"].manual_seed(0)
