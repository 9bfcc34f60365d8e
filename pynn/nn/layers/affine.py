"""What the layers of a weight and a bias share: initial values, buffers of the output, the bias' gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ... import ops
from .. import initializers
from ..context import Context
from ..parameters import Parameter

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def weight_and_bias(
    init: initializers.Init | None,
    shape: initializers.Shape,
    units: int,
    fans: initializers.Fans,
    dtype: DTypeLike,
) -> tuple[Parameter, Parameter]:
    """Return the weight and the bias of `units` outputs: with an initialiser, the bias starts at 0."""
    weight = initializers.make("torch_linear" if init is None else init, shape, fans=fans, dtype=dtype)
    bias = initializers.make("torch_linear" if init is None else "zeros", (units,), fans=fans, dtype=dtype)
    return Parameter(weight, dtype, fans=fans), Parameter(bias, dtype)


def output_buffers(ctx: Context, shape: tuple[int, ...], dtype: np.dtype) -> tuple[np.ndarray, np.ndarray | None]:
    """Return buffers for the output and for the activation's input, where backward needs that; save the one needed."""
    y = ctx.saved = ctx.buffer("y", shape, dtype)
    pre = None
    if ctx.activation is not None and ops.ACTIVATIONS[ctx.activation[0]].needs_input:
        pre = ctx.saved = ctx.buffer("pre", shape, dtype)
    return y, pre


def bias_gradient(bias: Parameter | None, cancelled: bool) -> np.ndarray | None:
    """Return the array that backward writes the bias' gradient to, or None if there is no bias, or it is `cancelled`.

    A following batch norm subtracts the bias again: its gradient is exactly 0, not a sum's rounding error.
    """
    if bias is None:
        return None
    if cancelled:
        ops.zero(bias.grad)
        return None
    return bias.grad
