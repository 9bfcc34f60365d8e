"""Elementwise activations with an exponential, and their gradients; the others are in `piecewise`.

Every forward takes `x` of any shape and returns f(x); every backward takes the gradient `dy` with respect to the
output and the array its derivative is computed from: the output `y` if that is enough, else the input `x`. `out` may be
the input itself.

See CS231n, Neural Networks Part 1, "Commonly used activation functions", or the paper named in the docstring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..backends.selection import kernels
from ..kernels.codes import NEEDS_INPUT, ActivationCode
from ._check import elementwise_output, fits, floats, positive

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class ActivationSpec(NamedTuple):
    """What other ops and layers need to know about an elementwise activation."""

    code: ActivationCode
    alpha: float = 0.0  # the default of its parameter, if it has one

    @property
    def needs_input(self) -> bool:
        """Whether the derivative is computed from the input, not from the output."""
        return self.code in NEEDS_INPUT


#: The activations that `matmul` and `batch_norm` can apply to their result, by name.
ACTIVATIONS = {
    "relu": ActivationSpec(ActivationCode.RELU),
    "leaky_relu": ActivationSpec(ActivationCode.LEAKY_RELU, 0.01),
    "elu": ActivationSpec(ActivationCode.ELU, 1.0),
    "selu": ActivationSpec(ActivationCode.SELU),
    "sigmoid": ActivationSpec(ActivationCode.SIGMOID),
    "tanh": ActivationSpec(ActivationCode.TANH),
    "softplus": ActivationSpec(ActivationCode.SOFTPLUS, 1.0),
    "gelu": ActivationSpec(ActivationCode.GELU),
    "gelu_tanh": ActivationSpec(ActivationCode.GELU_TANH),
    "silu": ActivationSpec(ActivationCode.SILU),
    "mish": ActivationSpec(ActivationCode.MISH),
    "logsigmoid": ActivationSpec(ActivationCode.LOGSIGMOID),
    "celu": ActivationSpec(ActivationCode.CELU, 1.0),
    "relu6": ActivationSpec(ActivationCode.RELU6),
    "hardsigmoid": ActivationSpec(ActivationCode.HARDSIGMOID),
    "hardswish": ActivationSpec(ActivationCode.HARDSWISH),
    "softsign": ActivationSpec(ActivationCode.SOFTSIGN),
}


_IDENTITY = ActivationCode.IDENTITY, 0.0
_DEFAULTS = {name: (known.code, known.alpha) for name, known in ACTIVATIONS.items()}


def resolve(activation: str | tuple[str, float | None] | None) -> tuple[ActivationCode, float]:
    """Return code and parameter of ``"relu"``, ``("leaky_relu", 0.2)`` or None."""
    if activation is None:
        return _IDENTITY
    if isinstance(activation, str):
        name, alpha = activation, None
    elif isinstance(activation, tuple) and len(activation) == 2:
        name, alpha = activation
    else:
        raise ValueError(f'activation is {activation!r}; expected a name, such as "elu", or ("elu", 0.5), or None')
    default = _DEFAULTS.get(name)
    if default is None:
        raise ValueError(f"unknown activation {name!r}; expected one of {', '.join(ACTIVATIONS)}")
    return default if alpha is None else (default[0], positive(alpha, f"the parameter of {name}"))


def mapped(x: ArrayLike, code: ActivationCode, alpha: float, out: np.ndarray | None) -> np.ndarray:
    """Return f(x), checked, for the activation with that code and parameter."""
    if not fits("*->*?", x, out):
        x = floats(x, "x")
        out = elementwise_output(out, x)
    elif out is None:
        out = np.empty(x.shape, x.dtype)
    kernels().activations.activate(x, code, alpha, out)
    return out


def mapped_backward(
    dy: ArrayLike, saved: ArrayLike, code: ActivationCode, alpha: float, out: np.ndarray | None
) -> np.ndarray:
    """Return dy f'(x), checked; `saved` is the array that the derivative is computed from."""
    if not fits("*,*->*?", dy, saved, out):
        dy = floats(dy, "dy")
        saved = floats(saved, "the saved array", like=dy, shape=dy.shape)
        out = elementwise_output(out, dy, saved)
    elif out is None:
        out = np.empty(dy.shape, dy.dtype)
    kernels().activations.activate_backward(dy, saved, code, alpha, out)
    return out


def elu(x: ArrayLike, alpha: float = 1.0, out: np.ndarray | None = None) -> np.ndarray:
    """Return x where x >= 0, else alpha (exp(x) - 1) (Clevert et al. 2016); alpha must be positive.

    Examples
    --------
    >>> import numpy as np
    >>> elu(np.array([-1.0, 2.0])).round(4)
    array([-0.6321,  2.    ])
    """
    return mapped(x, ActivationCode.ELU, positive(alpha, "alpha"), out)


def elu_backward(dy: ArrayLike, y: ArrayLike, alpha: float = 1.0, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy where y >= 0, else dy (y + alpha), from the output `y`.

    Examples
    --------
    >>> import numpy as np
    >>> elu_backward(np.ones(2), np.array([-0.5, 2.0]))
    array([0.5, 1. ])
    """
    return mapped_backward(dy, y, ActivationCode.ELU, positive(alpha, "alpha"), out)


def selu(x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return 1.0507 times ELU with alpha 1.6733 (Klambauer et al. 2017).

    Examples
    --------
    >>> import numpy as np
    >>> selu(np.array([-1.0, 2.0])).round(4)
    array([-1.1113,  2.1014])
    """
    return mapped(x, ActivationCode.SELU, 0.0, out)


def selu_backward(dy: ArrayLike, y: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy * selu'(x), from the output `y`.

    Examples
    --------
    >>> import numpy as np
    >>> selu_backward(np.ones(2), np.array([-1.0, 2.0])).round(4)
    array([0.7581, 1.0507])
    """
    return mapped_backward(dy, y, ActivationCode.SELU, 0.0, out)


def sigmoid(x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return 1 / (1 + exp(-x)).

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return mapped(x, ActivationCode.SIGMOID, 0.0, out)


def sigmoid_backward(dy: ArrayLike, y: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy y (1 - y), from the output `y`.

    Examples
    --------
    >>> import numpy as np
    >>> sigmoid_backward(np.ones(2), np.array([0.5, 1.0]))
    array([0.25, 0.  ])
    """
    return mapped_backward(dy, y, ActivationCode.SIGMOID, 0.0, out)


def tanh(x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return the hyperbolic tangent.

    Examples
    --------
    >>> import numpy as np
    >>> tanh(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.,  0.,  1.])
    """
    return mapped(x, ActivationCode.TANH, 0.0, out)


def tanh_backward(dy: ArrayLike, y: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy (1 - y^2), from the output `y`.

    Examples
    --------
    >>> import numpy as np
    >>> tanh_backward(np.ones(2), np.array([0.5, 1.0]))
    array([0.75, 0.  ])
    """
    return mapped_backward(dy, y, ActivationCode.TANH, 0.0, out)


def softplus(x: ArrayLike, beta: float = 1.0, out: np.ndarray | None = None) -> np.ndarray:
    """Return log(1 + exp(beta x)) / beta (Dugas et al. 2001), without overflow for any x; beta must be positive.

    Examples
    --------
    >>> import numpy as np
    >>> softplus(np.array([0.0, 1000.0])).round(4)
    array([6.931e-01, 1.000e+03])
    """
    return mapped(x, ActivationCode.SOFTPLUS, positive(beta, "beta"), out)


def softplus_backward(dy: ArrayLike, y: ArrayLike, beta: float = 1.0, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy sigmoid(beta x) = dy (1 - exp(-beta y)), from the output `y`.

    Examples
    --------
    >>> import numpy as np
    >>> softplus_backward(np.ones(1), np.log([2.0]))
    array([0.5])
    """
    return mapped_backward(dy, y, ActivationCode.SOFTPLUS, positive(beta, "beta"), out)


def gelu(x: ArrayLike, approximate: str = "none", out: np.ndarray | None = None) -> np.ndarray:
    """Return x Phi(x), with Phi the standard normal distribution function (Hendrycks & Gimpel 2016).

    `approximate` is "none" or "tanh": x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    Examples
    --------
    >>> import numpy as np
    >>> gelu(np.array([-1.0, 1.0])).round(4), gelu(np.array([-1.0, 1.0]), "tanh").round(4)
    (array([-0.1587,  0.8413]), array([-0.1588,  0.8412]))
    """
    return mapped(x, _gelu_code(approximate), 0.0, out)


def gelu_backward(dy: ArrayLike, x: ArrayLike, approximate: str = "none", out: np.ndarray | None = None) -> np.ndarray:
    """Return dy (Phi(x) + x phi(x)), or the derivative of the tanh form, from the input `x`.

    Examples
    --------
    >>> import numpy as np
    >>> gelu_backward(np.ones(2), np.array([0.0, 1.0])).round(4)
    array([0.5   , 1.0833])
    """
    return mapped_backward(dy, x, _gelu_code(approximate), 0.0, out)


def silu(x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return x sigmoid(x) (Elfwing et al. 2017), also called swish.

    Examples
    --------
    >>> import numpy as np
    >>> silu(np.array([-1.0, 1.0])).round(4)
    array([-0.2689,  0.7311])
    """
    return mapped(x, ActivationCode.SILU, 0.0, out)


def silu_backward(dy: ArrayLike, x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy s (1 + x (1 - s)), s = sigmoid(x), from the input `x`.

    Examples
    --------
    >>> import numpy as np
    >>> silu_backward(np.ones(2), np.array([0.0, 1.0])).round(4)
    array([0.5   , 0.9277])
    """
    return mapped_backward(dy, x, ActivationCode.SILU, 0.0, out)


def mish(x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return x tanh(log(1 + exp(x))) (Misra 2019).

    Examples
    --------
    >>> import numpy as np
    >>> mish(np.array([-1.0, 1.0])).round(4)
    array([-0.3034,  0.8651])
    """
    return mapped(x, ActivationCode.MISH, 0.0, out)


def mish_backward(dy: ArrayLike, x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy (t + x sigmoid(x) (1 - t^2)), t = tanh(log(1 + exp(x))), from the input `x`.

    Examples
    --------
    >>> import numpy as np
    >>> mish_backward(np.ones(2), np.array([0.0, 1.0])).round(3)
    array([0.6  , 1.049])
    """
    return mapped_backward(dy, x, ActivationCode.MISH, 0.0, out)


def logsigmoid(x: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return log(1 / (1 + exp(-x))), without overflow for any x.

    Examples
    --------
    >>> import numpy as np
    >>> logsigmoid(np.array([-1000.0, 0.0])).round(4)
    array([-1.000e+03, -6.931e-01])
    """
    return mapped(x, ActivationCode.LOGSIGMOID, 0.0, out)


def logsigmoid_backward(dy: ArrayLike, y: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy sigmoid(-x) = dy (1 - exp(y)), from the output `y`.

    Examples
    --------
    >>> import numpy as np
    >>> logsigmoid_backward(np.ones(1), np.log([0.25]))
    array([0.75])
    """
    return mapped_backward(dy, y, ActivationCode.LOGSIGMOID, 0.0, out)


def celu(x: ArrayLike, alpha: float = 1.0, out: np.ndarray | None = None) -> np.ndarray:
    """Return x where x >= 0, else alpha (exp(x / alpha) - 1) (Barron 2017); alpha must be positive.

    Examples
    --------
    >>> import numpy as np
    >>> celu(np.array([-1.0, 2.0]), 2.0).round(4)
    array([-0.7869,  2.    ])
    """
    return mapped(x, ActivationCode.CELU, positive(alpha, "alpha"), out)


def celu_backward(dy: ArrayLike, y: ArrayLike, alpha: float = 1.0, out: np.ndarray | None = None) -> np.ndarray:
    """Return dy where y >= 0, else dy (y + alpha) / alpha, from the output `y`.

    Examples
    --------
    >>> import numpy as np
    >>> celu_backward(np.ones(2), np.array([-1.0, 2.0]), 2.0)
    array([0.5, 1. ])
    """
    return mapped_backward(dy, y, ActivationCode.CELU, positive(alpha, "alpha"), out)


def _gelu_code(approximate: str) -> ActivationCode:
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate is {approximate!r}; expected "none" or "tanh"')
    return ActivationCode.GELU if approximate == "none" else ActivationCode.GELU_TANH


def add(a: ArrayLike, b: ArrayLike, out: np.ndarray | None = None) -> np.ndarray:
    """Return a + b, for arrays of one shape; `out` may be `a` or `b`.

    Examples
    --------
    >>> import numpy as np
    >>> add(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([4., 6.])
    """
    if not fits("*,*->*?", a, b, out):
        a = floats(a, "a")
        b = floats(b, "b", like=a, shape=a.shape)
        out = elementwise_output(out, a, b)
    elif out is None:
        out = np.empty(a.shape, a.dtype)
    kernels().activations.add(a, b, out)
    return out
