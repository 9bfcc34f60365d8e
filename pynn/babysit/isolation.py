"""Isolation of trial runs from the caller's random state and warnings."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Iterator

import numpy as np

from ..nn.random import unobserved


@contextlib.contextmanager
def unnoticed() -> Iterator[None]:
    """Restore the random state of Python, NumPy and pynn after the block."""
    ours, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 - a user's code may draw from it
    try:
        with unobserved():
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)  # noqa: NPY002


def seed_generators(seed: int) -> None:
    """Seed the global generators of Python and NumPy, from which a user's code may draw."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silence overflow warnings in the block: some trials test whether training overflows."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
