"""Gated linear units (Dauphin et al. 2017) of arrays (n, 2, size): one half times the sigmoid of the other."""

from .compiled import njit
from .special import sigmoid


def glu(x, out):
    """Write a sigmoid(b) to `out` (n, size), with a = x[:, 0] and b = x[:, 1]."""
    _glu(x, out)


def glu_backward(dy, x, dx):
    """Write dy s to dx[:, 0] and dy a s (1 - s) to dx[:, 1], with s = sigmoid(b)."""
    _glu_backward(dy, x, dx)


@njit()
def _glu(x, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = x[i, 0, j] * sigmoid(x[i, 1, j])


@njit()
def _glu_backward(dy, x, dx):
    one = x.dtype.type(1)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            gate = sigmoid(x[i, 1, j])
            dx[i, 0, j] = dy[i, j] * gate
            dx[i, 1, j] = dy[i, j] * x[i, 0, j] * (gate * (one - gate))
