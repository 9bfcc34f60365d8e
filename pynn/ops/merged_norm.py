"""Batch norm over rows of which several processes have a part each: what they showed each other, merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import count as whole
from ..utils.validation import fraction
from ._check import apart, floats, output, positive, required
from .activations import resolve
from .batchnorm import feature_arrays
from .channels import by_channel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def merge_statistics(
    moments: ArrayLike,
    counts: ArrayLike,
    running_mean: np.ndarray,
    running_var: np.ndarray,
    *,
    each: int = 1,
    momentum: float = 0.1,
    eps: float = 1e-5,
    mean_out: np.ndarray | None = None,
    var_out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of all rows, given those of parts, and update the running statistics with them.

    With n_p the elements of part p and n their sum: mean = sum n_p mean_p / n, and n var = sum n_p (var_p + (mean_p -
    mean)^2), which does not cancel. The running statistics change as in `batch_norm`.

    Parameters
    ----------
    moments : array_like, shape (parts, 2, features)
        Of each part the mean and 1 / sqrt(var + eps), as `batch_norm` returns them.
    counts : array_like of float64, shape (parts,)
        The number of rows of each part; one of 0 rows is left out.
    running_mean, running_var : ndarray, shape (features,)
        Updated in place.
    each : int
        Elements of a feature per row: 1, or the places of an image. The variance of a part of one element is 0.
    momentum, eps : float
        As given to `batch_norm`.
    mean_out, var_out : ndarray, optional
        Receive the results.

    References
    ----------
    Chan, Golub & LeVeque, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances, 1979.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.array([[1.0], [3.0], [8.0], [10.0]])
    >>> parts = [[part.mean(axis=0), 1 / np.sqrt(part.var(axis=0) + 1e-5)] for part in (rows[:2], rows[2:])]
    >>> mean, var = merge_statistics(parts, np.full(2, 2.0), np.zeros(1), np.ones(1))
    >>> mean, var.round(6), rows.var(axis=0)
    (array([5.5]), array([13.25]), array([13.25]))
    """
    moments = floats(moments, "moments", shape=("parts", 2, "features"))
    counts = floats(counts, "counts", shape=(len(moments),))
    if counts.dtype != np.float64:
        raise TypeError(f"counts has dtype {counts.dtype}; expected float64")
    features = moments.shape[2:]
    required(running_mean, "running_mean", features, moments.dtype)
    required(running_var, "running_var", features, moments.dtype)
    mean = output(mean_out, "mean_out", features, moments.dtype)
    var = output(var_out, "var_out", features, moments.dtype)
    written: dict[str, np.ndarray | None] = {"running_mean": running_mean, "running_var": running_var}
    apart({**written, "mean_out": mean_out, "var_out": var_out}, moments, counts)
    each, momentum, eps = _places(each, "each"), fraction(momentum, "momentum"), positive(eps, "eps")
    if counts.min(initial=0) < 0 or counts.sum() * each < 2:
        raise ValueError(f"batch norm needs at least 2 elements to have a variance; counts is {counts}, each {each}")
    kernels().batchnorm.merge_statistics(moments, counts, each, running_mean, running_var, momentum, eps, mean, var)
    return mean, var


def merge_gradients(sums: ArrayLike, *, count: int, out: np.ndarray | None = None) -> np.ndarray:
    """Return the means over all rows that batch norm's dx needs, given the sums over those of parts: sum_p sums_p / n.

    Parameters
    ----------
    sums : array_like, shape (parts, 2, features)
        Of each part dgamma and dbeta, as `batch_norm_backward` returns them: the sums of dz z and of dz.
    count : int
        n, the elements of a feature in all parts.
    out : ndarray of shape (2, features), optional
        Receives the result.

    Examples
    --------
    >>> import numpy as np
    >>> merge_gradients([[[1.0], [2.0]], [[3.0], [4.0]]], count=4)
    array([[1. ],
           [1.5]])
    """
    sums = floats(sums, "sums", shape=("parts", 2, "features"))
    means = output(out, "out", sums.shape[1:], sums.dtype)
    apart({"out": out}, sums)
    kernels().batchnorm.merge_gradients(sums, _places(count, "count"), means)
    return means


def merged_input_gradient(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    means: ArrayLike,
    *,
    activation: str | tuple[str, float | None] | None = None,
    dx: np.ndarray | None = None,
) -> np.ndarray:
    """Return dx of a part of the rows, given the means over all: gamma rstd (dz - mean(dz) - z mean(dz z)).

    Parameters
    ----------
    dy, x : array_like, shape (n, features, ...)
        The part's rows.
    gamma, beta, mean, rstd : array_like, shape (features,)
        The statistics are those of all rows.
    means : array_like, shape (2, features)
        Of dz z and of dz, with z the normalised input: what `merge_gradients` returns.
    activation
        As given to the forward pass.
    dx : ndarray, optional
        Receives the result.

    Examples
    --------
    >>> import numpy as np
    >>> x, dy, one, zero = np.array([[1.0], [3.0]]), np.array([[1.0], [0.0]]), np.ones(1), np.zeros(1)
    >>> merged_input_gradient(dy, x, one, zero, np.full(1, 2.0), one, np.array([[-0.5], [0.5]]))
    array([[0.],
           [0.]])
    """
    dy = floats(dy, "dy")
    if dy.ndim < 2:
        raise ValueError(f"dy has shape {dy.shape}; expected (n, features, ...)")
    x = floats(x, "x", like=dy, shape=dy.shape)
    used = feature_arrays(dy, gamma=gamma, beta=beta, mean=mean, rstd=rstd)
    used.append(floats(means, "means", like=dy, shape=(2, *dy.shape[1:2])))
    result = output(dx, "dx", dy.shape, dy.dtype)
    apart({"dx": dx}, dy, x, *used)
    code, alpha = resolve(activation)
    if dy.ndim == 2:
        kernels().batchnorm.batch_norm_input_gradient(dy, x, *used, code, alpha, result)
    else:
        given, rows, written = by_channel(dy), by_channel(x), by_channel(result)
        kernels().channels.batchnorm_channels_input_gradient(given, rows, *used, code, alpha, written)
    return result


def _places(value: int, name: str) -> int:
    """Return a number of elements, or raise ValueError unless an array could have so many."""
    if whole(value, name) > np.iinfo(np.intp).max:
        raise ValueError(f"{name} is {value}; no array has so many elements")
    return int(value)
