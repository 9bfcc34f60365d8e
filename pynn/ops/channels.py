"""Batch normalisation per channel of arrays (n, channels, ...), and the shape in which kernels take these."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import flag, fraction
from ._check import fits, floats, positive
from .activations import resolve
from .batchnorm import backward_arguments, forward_arguments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def batch_norm2d(
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
    """Return what `batch_norm` does, with statistics per channel, over examples and positions.

    Parameters
    ----------
    x : array_like, shape (n, channels, ...)
        At least 2 elements per channel in training.
    gamma, beta : array_like, shape (channels,)
    running_mean, running_var : ndarray, shape (channels,)
        Updated in place in training.
    momentum, eps, training, activation, out, mean_out, rstd_out
        As in `batch_norm`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[1.0, 3.0], [10.0, 30.0]]])
    >>> y, mean, rstd = batch_norm2d(x, np.ones(2), np.zeros(2), np.zeros(2), np.ones(2))
    >>> y.round(3), mean
    (array([[[-1.,  1.],
            [-1.,  1.]]]), array([ 2., 20.]))
    """
    training = flag(training, "training")
    if not fits("njhw,j,j->j,j,njhw,j,j", x, gamma, beta, running_mean, running_var, out, mean_out, rstd_out):
        x = floats(x, "x")
        check_channels(x, "x")
        gamma, beta, out, mean_out, rstd_out = forward_arguments(
            x, gamma, beta, running_mean, running_var, out, mean_out, rstd_out
        )
    if training:
        _check_count(x)
    momentum, eps = fraction(momentum, "momentum"), positive(eps, "eps")
    code, alpha = resolve(activation)
    rows, y = by_channel(x), by_channel(out)
    kernels().channels.batchnorm_channels(
        rows, gamma, beta, running_mean, running_var, momentum, eps, training, code, alpha, y, mean_out, rstd_out
    )
    return out, mean_out, rstd_out


def batch_norm2d_backward(
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
    """Return dx, dgamma and dbeta of `batch_norm2d`; see `batch_norm_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> x, one, zero = np.array([[[1.0, 3.0]]]), np.ones(1), np.zeros(1)
    >>> y, mean, rstd = batch_norm2d(x, one, zero, np.zeros(1), np.ones(1), eps=1e-9)
    >>> dx, dgamma, dbeta = batch_norm2d_backward(np.array([[[1.0, 0.0]]]), x, one, zero, mean, rstd)
    >>> dgamma.round(3), dbeta
    (array([-1.]), array([1.]))
    """
    training, need_dx = flag(training, "training"), flag(need_dx, "need_dx")
    if not need_dx:
        dx = None
    dx_given = need_dx == (dx is not None)
    if not (dx_given and fits("njhw,njhw,j,j,j,j->njhw?,j,j", dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta)):
        dy = floats(dy, "dy")
        check_channels(dy, "dy")
        x = floats(x, "x", like=dy, shape=dy.shape)
        gamma, beta, mean, rstd, dx, dgamma, dbeta = backward_arguments(
            dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta, need_dx
        )
    if training:
        _check_count(x)
    code, alpha = resolve(activation)
    given, rows, result = by_channel(dy), by_channel(x), None if dx is None else by_channel(dx)
    kernels().channels.batchnorm_channels_backward(
        given, rows, gamma, beta, mean, rstd, training, code, alpha, result, dgamma, dbeta
    )
    return dx, dgamma, dbeta


def by_channel(x: np.ndarray) -> np.ndarray:
    """Return the contiguous array (n, channels, ...) as (n, channels, positions)."""
    n, channels, *positions = x.shape
    return x.reshape(n, channels, math.prod(positions))


def check_channels(x: np.ndarray, name: str) -> None:
    """Raise ValueError unless the array has the form (n, channels, ...), with positions."""
    if x.ndim < 3:
        raise ValueError(
            f"{name} has shape {x.shape}; expected (n, channels, ...), with at least one axis after the channels"
        )


def _check_count(x: np.ndarray) -> None:
    if x.shape[0] * math.prod(x.shape[2:]) < 2:
        raise ValueError(
            f"batch norm in training needs at least 2 elements per channel to have a variance; x has shape {x.shape}"
        )
