"""The handwritten digits bundled with pynn."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def load_digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return 1797 handwritten digits, 8x8 pixels each; no download needed.

    Returns
    -------
    x : ndarray of shape (1797, 64), float32
        Raw pixel values, 0 (white) to 16, row by row.
    y : ndarray of shape (1797,), int64
        The digits, 0 to 9.

    Notes
    -----
    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
    doi 10.24432/C50P49, CC BY 4.0: its test part.

    Examples
    --------
    >>> from pynn.datasets import load_digits
    >>> x, y = load_digits()
    >>> x.shape, y[:5]
    ((1797, 64), array([0, 1, 2, 3, 4]))
    """
    arrays: Any
    from importlib import resources  # 8 ms, which `import pynn` need not wait for

    with resources.files("pynn.datasets").joinpath("files", "digits.npz").open("rb") as file, np.load(file) as arrays:
        return arrays["x"].astype(np.float32), arrays["y"].astype(np.int64)
