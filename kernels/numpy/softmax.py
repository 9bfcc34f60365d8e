"""Softmax over the middle dimension of (n, units, positions), and its logarithm."""

import numpy as np

from .quiet import quiet


@quiet
def softmax(x, log, out):
    """Write exp(x) / sum(exp(x)), or its logarithm, to `out`, which may be `x` itself; the sum runs over units."""
    shifted = x - x.max(axis=1, keepdims=True, initial=-np.inf)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    out[...] = shifted - np.log(total) if log else np.exp(shifted) / total


@quiet
def softmax_backward(dy, y, log, out):
    """Write y (dy - sum(dy y)), or dy - exp(y) sum(dy) for the logarithm, to `out`, which may be `dy` itself."""
    if log:
        out[...] = dy - np.exp(y) * dy.sum(axis=1, keepdims=True)
    else:
        out[...] = y * (dy - (dy * y).sum(axis=1, keepdims=True))
