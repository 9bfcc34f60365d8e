"""Activations over several arrays: PReLU, whose slope is learnt, and Maxout, the largest of several pieces."""

import numpy as np

from .quiet import quiet


@quiet
def prelu(x, slope, out):
    """Write x where x >= 0, else slope * x; `x` is (n, units, positions), `slope` has one entry, or one per unit."""
    out[...] = np.where(x < 0, slope[:, None] * x, x)


@quiet
def prelu_backward(dy, x, slope, dx, dslope):
    """Write dx, and dslope = the sum of dy * x over negative x (per unit, or over all for a single slope)."""
    at_slope = np.where(x < 0, dy * x, 0)
    dslope[...] = at_slope.sum(axis=(0, 2)) if slope.size > 1 else at_slope.sum()
    dx[...] = np.where(x < 0, slope[:, None] * dy, dy)


@quiet
def maxout(x, pieces, out):
    """Write the maximum over pieces: out[n, u] = max_j x[n, j * units + u]."""
    np.max(x.reshape(x.shape[0], pieces, out.shape[1]), axis=1, out=out)


@quiet
def maxout_backward(dy, x, pieces, dx):
    """Pass dy to the piece that was the maximum (the first on ties), 0 to the others."""
    stacked = x.reshape(x.shape[0], pieces, dy.shape[1])
    winner = stacked.argmax(axis=1)[:, None, :]
    dx[...] = 0
    np.put_along_axis(dx.reshape(stacked.shape), winner, dy[:, None, :], axis=1)
