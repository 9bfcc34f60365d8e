"""Optimiser updates over flat buffers, and other passes over parameters or gradients.

Common to the updates: `param` and `grad` are 1-D buffers of one dtype; state buffers have their shape. `bounds`, int64
(segments, 2), holds the start and stop of each segment to update, `rates`, float64 (segments, 2), its learning rate and
weight decay; elements outside all segments (frozen parameters) are left unchanged. Gradients are multiplied by
`grad_scale` first. `stats`, float64 (segments, 3), receives per segment the sums of squares of the parameter before the
update, of the scaled gradient, and of the update. The momentum and Adam's `beta1` may be float64 (1,), which a recorded
update reads again.
"""

from __future__ import annotations

import math

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import count, flag, fraction, real
from ._check import apart, check_shape, fits, output, positive, required, segments_fit

_INT64 = np.dtype(np.int64)
_FLOAT64 = np.dtype(np.float64)


def _check(
    param: np.ndarray,
    buffers: dict[str, np.ndarray | None],
    bounds: np.ndarray,
    rates: np.ndarray,
    stats: np.ndarray | None,
    *others: np.ndarray,
) -> None:
    """Raise unless the arrays are valid; param, buffers and stats must not share memory with any other."""
    if not isinstance(param, np.ndarray) or param.dtype not in (np.float32, np.float64):
        raise TypeError("param must be a float32 or float64 array")
    if param.ndim != 1:
        raise ValueError(f"param has shape {param.shape}; expected a flat buffer")
    output(param, "param", param.shape, param.dtype)
    for name, buffer in buffers.items():
        if buffer is not None or name != "velocity":
            required(buffer, name, param.shape, param.dtype)
    if not isinstance(bounds, np.ndarray):
        raise TypeError(f"bounds is a {type(bounds).__name__}; expected an int64 array of shape (segments, 2)")
    segments = len(bounds)
    output(bounds, "bounds", (segments, 2), _INT64)
    required(rates, "rates", (segments, 2), _FLOAT64)
    if stats is not None:
        output(stats, "stats", (segments, 3), _FLOAT64)
    apart({"param": param, **buffers, "stats": stats}, bounds, rates, *others)
    _check_ascending(bounds, param.size)


def _check_ascending(bounds: np.ndarray, size: int) -> None:
    line = bounds.reshape(-1).tolist()  # a few numbers, which Python compares in a tenth of NumPy's time
    if line and not (line[0] >= 0 and line[-1] <= size and line == sorted(line)):
        raise ValueError(f"bounds must be ascending and within the buffer of {size} elements")


def _setting(value: float | np.ndarray, name: str) -> np.ndarray:
    """Return a number from 0 to 1 as float64 (1,), the array itself if it is one."""
    if not isinstance(value, np.ndarray):
        return np.array([fraction(value, name)])
    array = output(value, name, (1,), _FLOAT64)
    fraction(float(array[0]), name)
    return array


def _momentum(momentum: float | np.ndarray, velocity: np.ndarray | None) -> np.ndarray:
    """Return the momentum as an array, or raise ValueError unless it and the velocity go together."""
    array = _setting(momentum, "momentum")
    if (velocity is None) != (array[0] == 0) and (velocity is None or not isinstance(momentum, np.ndarray)):
        raise ValueError("velocity must be given exactly when momentum is not 0")
    return array


def sgd(
    param: np.ndarray,
    grad: np.ndarray,
    velocity: np.ndarray | None,
    bounds: np.ndarray,
    rates: np.ndarray,
    *,
    momentum: float | np.ndarray = 0.0,
    nesterov: bool = False,
    grad_scale: float = 1.0,
    stats: np.ndarray | None = None,
) -> None:
    """Update in place: v = momentum v + (g + decay w); w -= lr v, or lr (g + momentum v) with Nesterov's momentum.

    `velocity` is None exactly when the momentum is the number 0. (Sutskever et al. 2013, in PyTorch's form.)

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([1.0, 1.0])
    >>> sgd(w, np.array([1.0, 2.0]), None, np.array([[0, 2]]), np.array([[0.1, 0.0]]))
    >>> w
    array([0.9, 0.8])
    """
    beta = _momentum(momentum, velocity)
    _check(param, {"grad": grad, "velocity": velocity}, bounds, rates, stats, beta)
    nesterov, scale = flag(nesterov, "nesterov"), real(grad_scale, "grad_scale")
    kernels().optim.sgd(param, grad, velocity, bounds, rates, beta, nesterov, scale, stats)


def adagrad(
    param: np.ndarray,
    grad: np.ndarray,
    square_sum: np.ndarray,
    bounds: np.ndarray,
    rates: np.ndarray,
    *,
    eps: float = 1e-10,
    grad_scale: float = 1.0,
    stats: np.ndarray | None = None,
) -> None:
    """Update in place: s += g^2; w -= lr g / (sqrt(s) + eps) (Duchi et al. 2011).

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([1.0, 1.0])
    >>> adagrad(w, np.array([1.0, 2.0]), np.zeros(2), np.array([[0, 2]]), np.array([[0.1, 0.0]]))
    >>> w
    array([0.9, 0.9])
    """
    _check(param, {"grad": grad, "square_sum": square_sum}, bounds, rates, stats)
    eps, scale = real(eps, "eps"), real(grad_scale, "grad_scale")
    kernels().optim.adagrad(param, grad, square_sum, bounds, rates, eps, scale, stats)


def rmsprop(
    param: np.ndarray,
    grad: np.ndarray,
    square_avg: np.ndarray,
    velocity: np.ndarray | None,
    bounds: np.ndarray,
    rates: np.ndarray,
    *,
    alpha: float = 0.99,
    momentum: float | np.ndarray = 0.0,
    eps: float = 1e-8,
    grad_scale: float = 1.0,
    stats: np.ndarray | None = None,
) -> None:
    """Update in place: s = alpha s + (1 - alpha) g^2; v = momentum v + g / (sqrt(s) + eps); w -= lr v.

    `velocity` is None exactly when the momentum is the number 0. (Tieleman & Hinton 2012, in PyTorch's form.)

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([1.0])
    >>> rmsprop(w, np.array([2.0]), np.zeros(1), None, np.array([[0, 1]]), np.array([[0.01, 0.0]]))
    >>> w.round(6)
    array([0.9])
    """
    beta = _momentum(momentum, velocity)
    _check(param, {"grad": grad, "square_avg": square_avg, "velocity": velocity}, bounds, rates, stats, beta)
    alpha, eps, scale = fraction(alpha, "alpha"), real(eps, "eps"), real(grad_scale, "grad_scale")
    kernels().optim.rmsprop(param, grad, square_avg, velocity, bounds, rates, alpha, beta, eps, scale, stats)


def adam(
    param: np.ndarray,
    grad: np.ndarray,
    exp_avg: np.ndarray,
    exp_avg_sq: np.ndarray,
    bounds: np.ndarray,
    rates: np.ndarray,
    *,
    step: int | np.ndarray,
    beta1: float | np.ndarray = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    decoupled: bool = False,
    grad_scale: float = 1.0,
    stats: np.ndarray | None = None,
) -> None:
    """Update in place by Adam, or by AdamW with `decoupled` weight decay; `step`, also as int64 (1,), counts from 1.

    m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
    w -= lr m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + eps).

    References
    ----------
    Kingma & Ba, Adam, 2015; Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([1.0, 1.0])
    >>> adam(w, np.array([1.0, -2.0]), np.zeros(2), np.zeros(2), np.array([[0, 2]]), np.array([[0.1, 0.0]]), step=1)
    >>> w.round(6)
    array([0.9, 1.1])
    """
    if isinstance(step, np.ndarray):
        steps = output(step, "step", (1,), _INT64)
    else:
        if count(step, "step") >= 2**63:
            raise ValueError(f"step is {step}; expected a 64-bit integer")
        steps = np.array([step], np.int64)
    beta = _setting(beta1, "beta1")
    _check(param, {"grad": grad, "exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}, bounds, rates, stats, steps, beta)
    beta2, decoupled = fraction(beta2, "beta2"), flag(decoupled, "decoupled")
    eps, scale = real(eps, "eps"), real(grad_scale, "grad_scale")
    if steps[0] < 1:
        raise ValueError(f"step is {steps[0]}; expected 1 for the first update")
    kernels().optim.adam(
        param, grad, exp_avg, exp_avg_sq, bounds, rates, beta, beta2, eps, steps, decoupled, scale, stats
    )


def gradient_norm(grad: np.ndarray) -> float:
    """Return the Euclidean norm, accumulated in float64.

    Examples
    --------
    >>> import numpy as np
    >>> gradient_norm(np.array([3.0, 4.0]))
    5.0
    """
    total = kernels().optim.sum_of_squares(_flat(grad))
    if math.isinf(total):  # squares of float64 overflow from 1e154 on
        largest = float(np.abs(grad).max())
        return largest * math.sqrt(np.square(grad / largest).sum()) if math.isfinite(largest) else largest
    return math.sqrt(total)


def clip_values(grad: np.ndarray, limit: float) -> None:
    """Clip in place to [-limit, limit]; NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> g = np.array([-3.0, 0.5])
    >>> clip_values(g, 1.0)
    >>> g
    array([-1. ,  0.5])
    """
    kernels().optim.clip_values(_flat(grad), positive(limit, "limit"))


def add_penalty(param: np.ndarray, grad: np.ndarray, bounds: np.ndarray, *, l1: float = 0.0, l2: float = 0.0) -> float:
    """Add the gradient l1 sign(w) + l2 w of each segment to `grad`; return the sum of ``l1 |w| + l2 w^2 / 2``.

    Examples
    --------
    >>> import numpy as np
    >>> g = np.zeros(2)
    >>> add_penalty(np.array([2.0, -1.0]), g, np.array([[0, 2]]), l1=0.5, l2=1.0)
    4.0
    >>> g
    array([ 2.5, -1.5])
    """
    if not (fits("n->n", param, grad) and segments_fit(bounds, param.size)):
        _check(param, {"grad": grad}, bounds, np.zeros((len(bounds), 2)), None)
    return kernels().optim.add_penalty(param, grad, bounds, real(l1, "l1"), real(l2, "l2"))


def clip_column_norms(weight: np.ndarray, limit: float) -> None:
    """Scale columns whose Euclidean norm exceeds `limit` down to `limit`, in place (max-norm, Srebro & Shraibman 2005).

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([[3.0, 0.3], [4.0, 0.4]])
    >>> clip_column_norms(w, 1.0)
    >>> w
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """
    check_shape(_writeable(weight, "weight"), "weight", ("fan_in", "units"))
    kernels().optim.clip_column_norms(weight, positive(limit, "limit"))


def _writeable(array: np.ndarray, name: str) -> np.ndarray:
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is a {type(array).__name__}; expected a NumPy array")
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name} has dtype {array.dtype}; expected float32 or float64")
    return output(array, name, array.shape, array.dtype)


def _flat(grad: np.ndarray) -> np.ndarray:
    check_shape(_writeable(grad, "grad"), "grad", ("n",))
    return grad
