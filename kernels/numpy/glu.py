"""Gated linear units (Dauphin et al. 2017) of arrays (n, 2, size): one half times the sigmoid of the other."""

from .quiet import quiet
from .special import sigmoid


@quiet
def glu(x, out):
    """Write a sigmoid(b) to `out` (n, size), with a = x[:, 0] and b = x[:, 1]."""
    out[...] = x[:, 0] * sigmoid(x[:, 1])


@quiet
def glu_backward(dy, x, dx):
    """Write dy s to dx[:, 0] and dy a s (1 - s) to dx[:, 1], with s = sigmoid(b)."""
    gate = sigmoid(x[:, 1])
    dx[:, 0] = dy * gate
    dx[:, 1] = dy * x[:, 0] * (gate * (1 - gate))
