"""Group, layer and RMS normalisation: statistics within each example."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import count, flag
from ._check import apart, floats, output, positive
from .channels import by_channel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def group_norm(
    x: ArrayLike,
    groups: int,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    out: np.ndarray | None = None,
    mean_out: np.ndarray | None = None,
    rstd_out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gamma (x - mean) rstd + beta, with the mean and rstd = 1 / sqrt(var + eps) of each example's groups.

    Parameters
    ----------
    x : array_like, shape (n, channels, ...)
    groups : int
        Number of groups of channels, each normalised over its channels and positions.
    gamma, beta : array_like, shape (channels,), optional
        Both or neither.
    eps : float
        Constant added to the variance, which divides by the count.
    out, mean_out, rstd_out : ndarray, optional
        Receive the results; mean and rstd have the shape (n, groups).

    References
    ----------
    Wu & He, Group Normalization, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> y, mean, rstd = group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), 2)
    >>> y.round(3), mean
    (array([[-1.,  1., -1.,  1.]]), array([[ 2., 20.]]))
    """
    x = floats(x, "x")
    groups = _check_groups(x, groups)
    gamma, beta = _affine(gamma, beta, x, x.shape[1:2])
    y = output(out, "out", x.shape, x.dtype)
    mean = output(mean_out, "mean_out", (x.shape[0], groups), x.dtype)
    rstd = output(rstd_out, "rstd_out", (x.shape[0], groups), x.dtype)
    apart({"out": out, "mean_out": mean_out, "rstd_out": rstd_out}, x, gamma, beta)
    kernels().groupnorm.group_norm(by_channel(x), gamma, beta, groups, positive(eps, "eps"), by_channel(y), mean, rstd)
    return y, mean, rstd


def group_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike | None,
    mean: ArrayLike,
    rstd: ArrayLike,
    *,
    dx: np.ndarray | None = None,
    dgamma: np.ndarray | None = None,
    dbeta: np.ndarray | None = None,
    need_dx: bool = True,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return dx, dgamma and dbeta of `group_norm`; the last two are None without gamma.

    With z the normalised input and g = dy gamma, dx = rstd (g - mean(g) - z mean(g z)), means over a group.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 3.0]])
    >>> y, mean, rstd = group_norm(x, 1, np.ones(2), np.zeros(2), eps=1e-9)
    >>> dx, dgamma, dbeta = group_norm_backward(np.array([[1.0, 0.0]]), x, np.ones(2), mean, rstd)
    >>> dgamma.round(3), dbeta
    (array([-1.,  0.]), array([1., 0.]))
    """
    need_dx = flag(need_dx, "need_dx")
    dy = floats(dy, "dy")
    mean = floats(mean, "mean", like=dy, shape=("n", "groups"))
    groups = _check_groups(dy, mean.shape[1])
    x = floats(x, "x", like=dy, shape=dy.shape)
    mean = floats(mean, "mean", like=dy, shape=(dy.shape[0], groups))
    rstd = floats(rstd, "rstd", like=dy, shape=(dy.shape[0], groups))
    if gamma is None:
        dgamma = dbeta = None
    else:
        gamma = floats(gamma, "gamma", like=dy, shape=dy.shape[1:2])
    if not need_dx:
        dx = None
    given = {"dx": dx, "dgamma": dgamma, "dbeta": dbeta}
    if gamma is not None:
        dgamma = output(dgamma, "dgamma", gamma.shape, dy.dtype)
        dbeta = output(dbeta, "dbeta", gamma.shape, dy.dtype)
    dx = output(dx, "dx", x.shape, dy.dtype) if need_dx else None
    apart(given, dy, x, gamma, mean, rstd)
    input_gradient = None if dx is None else by_channel(dx)
    kernels().groupnorm.group_norm_backward(
        by_channel(dy), by_channel(x), gamma, groups, mean, rstd, input_gradient, dgamma, dbeta
    )
    return dx, dgamma, dbeta


def layer_norm(
    x: ArrayLike,
    shape: tuple[int, ...],
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    out: np.ndarray | None = None,
    mean_out: np.ndarray | None = None,
    rstd_out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gamma (x - mean) rstd + beta, normalised over the last dimensions, of shape `shape`.

    Parameters
    ----------
    x : array_like
        Its last dimensions are `shape`.
    shape : tuple of int
    gamma, beta : array_like, of that shape, optional
    eps, out
        As in `group_norm`.
    mean_out, rstd_out : ndarray, shape (rows, 1), optional
        Receive the statistics; rows is the product of the other dimensions.

    References
    ----------
    Ba, Kiros & Hinton, Layer Normalization, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> layer_norm(np.array([[1.0, 3.0], [10.0, 30.0]]), (2,))[0].round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    shape = _sizes(shape)
    x = floats(x, "x")
    gamma, beta = _affine(gamma, beta, x, shape)
    y = output(out, "out", x.shape, x.dtype)
    _, mean, rstd = group_norm(
        _rows(x, shape),
        1,
        _line(gamma),
        _line(beta),
        eps=eps,
        out=_rows(y, shape),
        mean_out=mean_out,
        rstd_out=rstd_out,
    )
    return y, mean, rstd


def layer_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    shape: tuple[int, ...],
    gamma: ArrayLike | None,
    mean: ArrayLike,
    rstd: ArrayLike,
    *,
    dx: np.ndarray | None = None,
    dgamma: np.ndarray | None = None,
    dbeta: np.ndarray | None = None,
    need_dx: bool = True,
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return dx, dgamma and dbeta of `layer_norm`; the last two are None without gamma.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 3.0]])
    >>> y, mean, rstd = layer_norm(x, (2,), eps=1e-9)
    >>> layer_norm_backward(np.array([[1.0, 0.0]]), x, (2,), None, mean, rstd)[0].round(3) + 0
    array([[0., 0.]])
    """
    need_dx = flag(need_dx, "need_dx")
    shape = _sizes(shape)
    dy = floats(dy, "dy")
    x = floats(x, "x", like=dy, shape=dy.shape)
    if gamma is None:
        dgamma = dbeta = None
    else:
        gamma = floats(gamma, "gamma", like=dy, shape=shape)
        dgamma = output(dgamma, "dgamma", shape, dy.dtype)
        dbeta = output(dbeta, "dbeta", shape, dy.dtype)
    if need_dx:
        dx = output(dx, "dx", dy.shape, dy.dtype)
    group_norm_backward(
        _rows(dy, shape),
        _rows(x, shape),
        _line(gamma),
        mean,
        rstd,
        dx=_rows(dx, shape) if dx is not None and need_dx else None,
        dgamma=_line(dgamma),
        dbeta=_line(dbeta),
        need_dx=need_dx,
    )
    return dx if need_dx else None, dgamma, dbeta


def rms_norm(
    x: ArrayLike,
    shape: tuple[int, ...],
    gamma: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    out: np.ndarray | None = None,
    rstd_out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return gamma x rstd and rstd = 1 / sqrt(mean(x^2) + eps), over the last dimensions, of shape `shape`.

    Parameters
    ----------
    x : array_like
        Its last dimensions are `shape`.
    shape : tuple of int
    gamma : array_like, of that shape, optional
    eps : float
    out : ndarray, optional
        Receives the first result.
    rstd_out : ndarray, shape (rows, 1), optional
        Receives the second one; rows is the product of the other dimensions.

    References
    ----------
    Zhang & Sennrich, Root Mean Square Layer Normalization, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> rms_norm(np.array([[3.0, 4.0], [30.0, 40.0]]), (2,))[0].round(3)
    array([[0.849, 1.131],
           [0.849, 1.131]])
    """
    shape = _sizes(shape)
    x = floats(x, "x")
    rows = _rows(x, shape)
    if gamma is not None:
        gamma = floats(gamma, "gamma", like=x, shape=shape)
    y = output(out, "out", x.shape, x.dtype)
    rstd = output(rstd_out, "rstd_out", (len(rows), 1), x.dtype)
    apart({"out": out, "rstd_out": rstd_out}, x, gamma)
    _check_groups(rows, 1)
    kernels().groupnorm.group_norm(
        rows[:, :, None], _line(gamma), None, 1, positive(eps, "eps"), _rows(y, shape)[:, :, None], None, rstd
    )
    return y, rstd


def rms_norm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    shape: tuple[int, ...],
    gamma: ArrayLike | None,
    rstd: ArrayLike,
    *,
    dx: np.ndarray | None = None,
    dgamma: np.ndarray | None = None,
    need_dx: bool = True,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return dx and dgamma of `rms_norm`; the latter is None without gamma.

    With z the normalised input and g = dy gamma, dx = rstd (g - z mean(g z)).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[3.0, 4.0]])
    >>> y, rstd = rms_norm(x, (2,), eps=1e-9)
    >>> rms_norm_backward(x, x, (2,), None, rstd)[0].round(3) + 0  # along x, nothing changes
    array([[0., 0.]])
    """
    need_dx = flag(need_dx, "need_dx")
    shape = _sizes(shape)
    dy = floats(dy, "dy")
    x = floats(x, "x", like=dy, shape=dy.shape)
    rows = _rows(x, shape)
    rstd = floats(rstd, "rstd", like=dy, shape=(len(rows), 1))
    given = {"dx": dx if need_dx else None, "dgamma": None if gamma is None else dgamma}
    if gamma is None:
        dgamma = None
    else:
        gamma = floats(gamma, "gamma", like=dy, shape=shape)
        dgamma = output(dgamma, "dgamma", shape, dy.dtype)
    dx = output(dx, "dx", dy.shape, dy.dtype) if need_dx else None
    apart(given, dy, x, gamma, rstd)
    _check_groups(rows, 1)
    input_gradient = None if dx is None else _rows(dx, shape)[:, :, None]
    kernels().groupnorm.group_norm_backward(
        _rows(dy, shape)[:, :, None], rows[:, :, None], _line(gamma), 1, None, rstd, input_gradient, _line(dgamma), None
    )
    return dx, dgamma


def _check_groups(x: np.ndarray, groups: int) -> int:
    groups = count(groups, "groups")
    if x.ndim < 2 or 0 in x.shape[1:]:
        raise ValueError(f"x has shape {x.shape}; expected (n, channels, ...)")
    if x.shape[1] % groups:
        raise ValueError(f"{groups} groups do not divide {x.shape[1]} channels evenly")
    return groups


def _affine(
    gamma: ArrayLike | None, beta: ArrayLike | None, x: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    if (gamma is None) != (beta is None):
        raise ValueError("gamma and beta go together: give both or neither")
    if gamma is None or beta is None:
        return None, None
    return floats(gamma, "gamma", like=x, shape=shape), floats(beta, "beta", like=x, shape=shape)


def _sizes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes of the last dimensions as a tuple, or raise ValueError if they are none."""
    if not isinstance(shape, tuple | list) or not shape:
        raise ValueError(f"shape is {shape!r}; expected the sizes of the last dimensions, such as (3,)")
    return tuple(shape)


def _rows(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the contiguous array (..., *shape) as (rows, elements of shape)."""
    if x.shape[-len(shape) :] != shape or x.ndim == len(shape):
        raise ValueError(f"x has shape {x.shape}; expected (..., {', '.join(map(str, shape))})")
    return x.reshape(-1, math.prod(shape)) if x.size else x.reshape(0, math.prod(shape))


def _line(values: np.ndarray | None) -> np.ndarray | None:
    return None if values is None else values.reshape(-1)
