"""Trial trainings on copies: nothing else must notice them."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Iterator

import numpy as np

from ..nn.random import unobserved


@contextlib.contextmanager
def unnoticed() -> Iterator[None]:
    """Within the block, nothing that is drawn from Python's, NumPy's or pynn's random numbers is noticed after it."""
    ours, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 - what layers of the user's may draw from
    try:
        with unobserved():
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)  # noqa: NPY002


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Within the block, trials may overflow without a warning: it is what some of them are to find out."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
