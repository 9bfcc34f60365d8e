"""Activations without an exponential, and their gradients: linear in pieces, or nearly.

Arguments are as in `activations`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..kernels.codes import ActivationCode
from ..utils.validation import real
from ._check import elementwise_output, fits, floats, positive
from .activations import mapped, mapped_backward

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def relu(x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return max(0, x); NaN passes through.

    Examples
    --------
    >>> import numpy as np
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return mapped(x, ActivationCode.RELU, 0.0, out)


def relu_backward(dy: ArrayLike, x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy where x > 0, else 0; `x` may be the input or the output.

    Examples
    --------
    >>> import numpy as np
    >>> relu_backward(np.ones(3), np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return mapped_backward(dy, x, ActivationCode.RELU, 0.0, out)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01, out: np.ndarray | None = None) -> np.ndarray:
    """Return x where x >= 0, else negative_slope * x; the slope must be positive.

    Examples
    --------
    >>> import numpy as np
    >>> leaky_relu(np.array([-1.0, 2.0]), 0.1)
    array([-0.1,  2. ])
    """
    return mapped(x, ActivationCode.LEAKY_RELU, positive(negative_slope, "negative_slope"), out)


def leaky_relu_backward(
    dy: ArrayLike, x: ArrayLike, negative_slope: float = 0.01, out: np.ndarray | None = None
) -> np.ndarray:
    """Return dy where x >= 0, else negative_slope * dy; `x` may be the input or the output.

    Examples
    --------
    >>> import numpy as np
    >>> leaky_relu_backward(np.ones(2), np.array([-1.0, 2.0]), 0.1)
    array([0.1, 1. ])
    """
    return mapped_backward(dy, x, ActivationCode.LEAKY_RELU, positive(negative_slope, "negative_slope"), out)


def relu6(x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return min(max(0, x), 6) (Howard et al. 2017); NaN passes through.

    Examples
    --------
    >>> import numpy as np
    >>> relu6(np.array([-1.0, 2.0, 8.0]))
    array([0., 2., 6.])
    """
    return mapped(x, ActivationCode.RELU6, 0.0, out)


def relu6_backward(dy: ArrayLike, x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy where 0 < x < 6, else 0; `x` may be the input or the output.

    Examples
    --------
    >>> import numpy as np
    >>> relu6_backward(np.ones(3), np.array([-1.0, 2.0, 8.0]))
    array([0., 1., 0.])
    """
    return mapped_backward(dy, x, ActivationCode.RELU6, 0.0, out)


def hardsigmoid(x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return min(max(0, x + 3), 6) / 6.

    Examples
    --------
    >>> import numpy as np
    >>> hardsigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return mapped(x, ActivationCode.HARDSIGMOID, 0.0, out)


def hardsigmoid_backward(dy: ArrayLike, y: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy / 6 where 0 < y < 1, else 0, from the output `y`.

    Examples
    --------
    >>> import numpy as np
    >>> hardsigmoid_backward(np.full(3, 6.0), np.array([0.0, 0.5, 1.0]))
    array([0., 1., 0.])
    """
    return mapped_backward(dy, y, ActivationCode.HARDSIGMOID, 0.0, out)


def hardswish(x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return x hardsigmoid(x) (Howard et al. 2019): 0 below -3, x above 3.

    Examples
    --------
    >>> import numpy as np
    >>> hardswish(np.array([-4.0, 1.5, 4.0]))
    array([0.   , 1.125, 4.   ])
    """
    return mapped(x, ActivationCode.HARDSWISH, 0.0, out)


def hardswish_backward(dy: ArrayLike, x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy (x / 3 + 1 / 2) for x in [-3, 3], 0 below, dy above, from the input `x`.

    Examples
    --------
    >>> import numpy as np
    >>> hardswish_backward(np.ones(3), np.array([-4.0, 1.5, 4.0]))
    array([0., 1., 1.])
    """
    return mapped_backward(dy, x, ActivationCode.HARDSWISH, 0.0, out)


def softsign(x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return x / (1 + abs(x)) (Bergstra et al. 2009).

    Examples
    --------
    >>> import numpy as np
    >>> softsign(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """
    return mapped(x, ActivationCode.SOFTSIGN, 0.0, out)


def softsign_backward(dy: ArrayLike, y: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy (1 - abs(y))^2, from the output `y`.

    Examples
    --------
    >>> import numpy as np
    >>> softsign_backward(np.ones(2), np.array([-0.5, 0.75]))
    array([0.25  , 0.0625])
    """
    return mapped_backward(dy, y, ActivationCode.SOFTSIGN, 0.0, out)


def hardtanh(x: ArrayLike, min_val: float = -1.0, max_val: float = 1.0, out: np.ndarray | None = None) -> np.ndarray:
    """Return min(max(min_val, x), max_val); NaN passes through.

    Examples
    --------
    >>> import numpy as np
    >>> hardtanh(np.array([-2.0, 0.5, 2.0]))
    array([-1. ,  0.5,  1. ])
    """
    low, high = bounds(min_val, max_val)
    if not fits("*->*?", x, out):
        x = floats(x, "x")
        out = elementwise_output(out, x)
    elif out is None:
        out = np.empty(x.shape, x.dtype)
    kernels().activations.hardtanh(x, low, high, out)
    return out


def hardtanh_backward(
    dy: ArrayLike, x: ArrayLike, min_val: float = -1.0, max_val: float = 1.0, out: np.ndarray | None = None
) -> np.ndarray:
    """Return dy where min_val < x < max_val, else 0; `x` may be the input or the output.

    Examples
    --------
    >>> import numpy as np
    >>> hardtanh_backward(np.ones(3), np.array([-2.0, 0.5, 2.0]))
    array([0., 1., 0.])
    """
    low, high = bounds(min_val, max_val)
    if not fits("*,*->*?", dy, x, out):
        dy = floats(dy, "dy")
        x = floats(x, "x", like=dy, shape=dy.shape)
        out = elementwise_output(out, dy, x)
    elif out is None:
        out = np.empty(dy.shape, dy.dtype)
    kernels().activations.hardtanh_backward(dy, x, low, high, out)
    return out


def bounds(min_val: float, max_val: float) -> tuple[float, float]:
    """Return both as floats, or raise ValueError unless min_val < max_val."""
    low, high = real(min_val, "min_val"), real(max_val, "max_val")
    if not low < high:
        raise ValueError(f"min_val is {low} and max_val {high}; expected min_val below max_val")
    return low, high
