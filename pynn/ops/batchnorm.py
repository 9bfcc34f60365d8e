"""Batch normalisation, forward and backward, with a fused activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import flag, fraction
from ._check import apart, fits, floats, output, positive, required
from .activations import resolve

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def batch_norm(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    running_mean: np.ndarray,
    running_var: np.ndarray,
    *,
    momentum: float = 0.1,
    eps: float = 1e-5,
    training: bool = True,
    activation: str | tuple[str, float | None] | None = None,
    out: np.ndarray | None = None,
    mean_out: np.ndarray | None = None,
    rstd_out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return y = f(gamma (x - mean) rstd + beta) with the mean and rstd = 1 / sqrt(var + eps) that were used.

    In training these are the statistics of the batch, per column, and the running statistics are updated in place:
    running = (1 - momentum) running + momentum batch, with the variance over n in the normalisation and over n - 1
    in the running estimate. Otherwise the running statistics are used, unchanged.

    float32 inputs may be as large as 1e38, float64 inputs as 1e150. A running variance that does not fit its dtype
    (float32: from inputs of about 1e19 on) is infinite.

    Parameters
    ----------
    x : array_like, shape (n, features)
        At least 2 rows in training.
    gamma, beta : array_like, shape (features,)
        Learned scale and shift.
    running_mean, running_var : ndarray, shape (features,)
        Updated in place in training, so they must be writeable arrays of x's dtype.
    momentum, eps : float
        Weight of the new batch in the running statistics; constant added to the variance.
    training : bool
    activation : str or (str, float), optional
        As in `ops.matmul`; its input is recomputed in the backward pass.
    out, mean_out, rstd_out : ndarray, optional
        Receive the results.

    References
    ----------
    Ioffe & Szegedy, Batch Normalization, 2015; CS231n, Training Neural Networks, Part 1.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> mean, var = np.zeros(2), np.ones(2)
    >>> y, batch_mean, rstd = batch_norm(x, np.ones(2), np.zeros(2), mean, var)
    >>> y.round(3), mean
    (array([[-1., -1.],
           [ 1.,  1.]]), array([0.2, 2. ]))
    """
    training = flag(training, "training")
    if not fits("nj,j,j->j,j,nj,j,j", x, gamma, beta, running_mean, running_var, out, mean_out, rstd_out):
        x = floats(x, "x", shape=("n", "features"))
        gamma, beta, out, mean_out, rstd_out = forward_arguments(
            x, gamma, beta, running_mean, running_var, out, mean_out, rstd_out
        )
    if training:
        _check_rows(x)
    momentum, eps = fraction(momentum, "momentum"), positive(eps, "eps")
    code, alpha = resolve(activation)
    kernels().batchnorm.batch_norm(
        x, gamma, beta, running_mean, running_var, momentum, eps, training, code, alpha, out, mean_out, rstd_out
    )
    return out, mean_out, rstd_out


def batch_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    *,
    activation: str | tuple[str, float | None] | None = None,
    training: bool = True,
    dx: np.ndarray | None = None,
    dgamma: np.ndarray | None = None,
    dbeta: np.ndarray | None = None,
    need_dx: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Return dx, dgamma and dbeta of `batch_norm`, from what it was given and returned.

    With z the normalised input, and dy already multiplied by the activation's derivative:
    dbeta = sum dy, dgamma = sum dy z, and dx = gamma rstd (dy - mean(dy) - z mean(dy z)) in training; with
    ``training=False`` the statistics are constants and dx = gamma rstd dy.

    Parameters
    ----------
    dy, x : array_like, shape (n, features)
    gamma, beta, mean, rstd : array_like, shape (features,)
    activation, training
        As given to the forward pass.
    dx, dgamma, dbeta : ndarray, optional
        Receive the gradients.
    need_dx : bool
        False skips dx.

    Examples
    --------
    >>> import numpy as np
    >>> x, one, zero = np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1)
    >>> y, mean, rstd = batch_norm(x, one, zero, np.zeros(1), np.ones(1), eps=1e-9)
    >>> dx, dgamma, dbeta = batch_norm_backward(np.array([[1.0], [0.0]]), x, one, zero, mean, rstd)
    >>> dgamma.round(3), dbeta
    (array([-1.]), array([1.]))
    """
    training, need_dx = flag(training, "training"), flag(need_dx, "need_dx")
    if not need_dx:
        dx = None
    dx_given = need_dx == (dx is not None)
    if not (dx_given and fits("nj,nj,j,j,j,j->nj?,j,j", dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta)):
        dy = floats(dy, "dy", shape=("n", "features"))
        x = floats(x, "x", like=dy, shape=dy.shape)
        gamma, beta, mean, rstd, dx, dgamma, dbeta = backward_arguments(
            dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta, need_dx
        )
    if training:
        _check_rows(x)
    code, alpha = resolve(activation)
    kernels().batchnorm.batch_norm_backward(dy, x, gamma, beta, mean, rstd, training, code, alpha, dx, dgamma, dbeta)
    return dx, dgamma, dbeta


def forward_arguments(
    x: np.ndarray,
    gamma: ArrayLike,
    beta: ArrayLike,
    running_mean: np.ndarray,
    running_var: np.ndarray,
    out: np.ndarray | None,
    mean_out: np.ndarray | None,
    rstd_out: np.ndarray | None,
) -> tuple[np.ndarray, ...]:
    """Return gamma, beta and the outputs of a forward pass over x (n, features, ...), or raise if one is invalid."""
    features = x.shape[1:2]
    gamma = floats(gamma, "gamma", like=x, shape=features)
    beta = floats(beta, "beta", like=x, shape=features)
    required(running_mean, "running_mean", features, x.dtype)
    required(running_var, "running_var", features, x.dtype)
    y = output(out, "out", x.shape, x.dtype)
    mean, rstd = output(mean_out, "mean_out", features, x.dtype), output(rstd_out, "rstd_out", features, x.dtype)
    state: dict[str, np.ndarray | None] = {"running_mean": running_mean, "running_var": running_var}
    apart({**state, "out": out, "mean_out": mean_out, "rstd_out": rstd_out}, x, gamma, beta)
    return gamma, beta, y, mean, rstd


def backward_arguments(
    dy: np.ndarray,
    x: np.ndarray,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    dx: np.ndarray | None,
    dgamma: np.ndarray | None,
    dbeta: np.ndarray | None,
    need_dx: bool,
) -> tuple[Any, ...]:
    """Return what a backward pass needs besides dy and x (n, features, ...), or raise if something is invalid."""
    features = dy.shape[1:2]
    used = feature_arrays(dy, gamma=gamma, beta=beta, mean=mean, rstd=rstd)
    given = {"dx": dx, "dgamma": dgamma, "dbeta": dbeta}
    dgamma, dbeta = output(dgamma, "dgamma", features, dy.dtype), output(dbeta, "dbeta", features, dy.dtype)
    dx = output(dx, "dx", x.shape, dy.dtype) if need_dx else None
    apart(given, dy, x, *used)
    return *used, dx, dgamma, dbeta


def feature_arrays(dy: np.ndarray, **named: ArrayLike) -> list[np.ndarray]:
    """Return arrays with a number for each feature of dy (n, features, ...), or raise if one is invalid."""
    return [floats(array, name, like=dy, shape=dy.shape[1:2]) for name, array in named.items()]


def _check_rows(x: np.ndarray) -> None:
    if x.shape[0] < 2:
        raise ValueError(f"batch norm in training needs at least 2 rows to have a variance; x has shape {x.shape}")
