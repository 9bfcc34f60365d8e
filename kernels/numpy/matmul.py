"""Matrix multiply, and the column sum for its backward pass."""

import numpy as np

from ..codes import ActivationCode
from .activations import activate
from .quiet import quiet


@quiet
def matmul(a, b, trans_a, trans_b, bias, activation, alpha, out, pre_out, accumulate):
    """Write f(op(a) @ op(b) + bias) to `out`, where op transposes if its flag is set.

    With `accumulate` the product is added to `out` (without bias and activation).
    The pre-activation is also written to `pre_out`, unless it is None.
    """
    left = a.T if trans_a else a
    right = b.T if trans_b else b
    if accumulate:
        out += left @ right
        return
    np.matmul(left, right, out=out)
    if bias is not None:
        out += bias
    if pre_out is not None:
        pre_out[...] = out
    if activation != ActivationCode.IDENTITY:
        activate(out, activation, alpha, out)


@quiet
def column_sum(x, out, accumulate):
    """Write (or add) the sum over the rows of the 2-D `x` to `out`."""
    total = x.sum(axis=0, dtype=np.float64)
    if accumulate:
        out += total
    else:
        out[...] = total
