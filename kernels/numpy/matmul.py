"""Matrix multiply, and the column sum for its backward pass."""

import numpy as np

from ..codes import ActivationCode
from .activations import activate
from .quiet import quiet


@quiet
def matmul(a, b, trans_a, trans_b, bias, activation, alpha, out, pre_out):
    """Write f(op(a) @ op(b) + bias) to `out`, where op transposes if its flag is set.

    The pre-activation is also written to `pre_out`, unless it is None.
    """
    left = a.T if trans_a else a
    right = b.T if trans_b else b
    np.matmul(left, right, out=out)
    if bias is not None:
        out += bias
    if pre_out is not None:
        pre_out[...] = out
    if activation != ActivationCode.IDENTITY:
        activate(out, activation, alpha, out)


@quiet
def column_sum(x, out):
    """Write the sum over the rows of the 2-D `x` to `out`."""
    out[...] = x.sum(axis=0, dtype=np.float64)
