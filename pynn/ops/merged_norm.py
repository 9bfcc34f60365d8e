"""Batch norm over rows of which several processes have a part each: what they showed each other, merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import count as whole
from ._check import apart, check_shape, floats, output, positive, required

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
    moments = floats(moments, "moments")
    check_shape(moments, "moments", ("parts", 2, "features"))
    counts = floats(counts, "counts")
    check_shape(counts, "counts", (len(moments),))
    if counts.dtype != np.float64:
        raise TypeError(f"counts has dtype {counts.dtype}; expected float64")
    features = moments.shape[2:]
    required(running_mean, "running_mean", features, moments.dtype)
    required(running_var, "running_var", features, moments.dtype)
    mean = output(mean_out, "mean_out", features, moments.dtype)
    var = output(var_out, "var_out", features, moments.dtype)
    written: dict[str, np.ndarray | None] = {"running_mean": running_mean, "running_var": running_var}
    apart({**written, "mean_out": mean_out, "var_out": var_out}, moments, counts)
    each, eps = _places(each, "each"), positive(eps, "eps")
    if counts.min(initial=0) < 0 or counts.sum() * each < 2:
        raise ValueError(f"batch norm needs at least 2 elements to have a variance; counts is {counts}, each {each}")
    kernels().batchnorm.merge_statistics(moments, counts, each, running_mean, running_var, momentum, eps, mean, var)
    return mean, var


def merge_gradients(
    sums: ArrayLike,
    gamma: ArrayLike,
    rstd: ArrayLike,
    *,
    count: int,
    scale_out: np.ndarray | None = None,
    shift_out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what dx lacks if batch norm's statistics are taken as constants: scale z + shift, z the normalised input.

    scale = -gamma rstd dgamma / n and shift = -gamma rstd dbeta / n, with dgamma and dbeta summed over all parts.

    Parameters
    ----------
    sums : array_like, shape (parts, 2, features)
        Of each part dgamma and dbeta, as `batch_norm_backward` returns them.
    gamma, rstd : array_like, shape (features,)
    count : int
        n, the elements of a feature in all parts.
    scale_out, shift_out : ndarray, optional
        Receive the results.

    Examples
    --------
    >>> import numpy as np
    >>> merge_gradients([[[1.0], [2.0]], [[3.0], [4.0]]], np.ones(1), np.full(1, 0.5), count=4)
    (array([-0.5]), array([-0.75]))
    """
    sums = floats(sums, "sums")
    check_shape(sums, "sums", ("parts", 2, "features"))
    features = sums.shape[2:]
    gamma, rstd = (floats(a, name, like=sums, shape=features) for a, name in ((gamma, "gamma"), (rstd, "rstd")))
    scale = output(scale_out, "scale_out", features, sums.dtype)
    shift = output(shift_out, "shift_out", features, sums.dtype)
    apart({"scale_out": scale_out, "shift_out": shift_out}, sums, gamma, rstd)
    kernels().batchnorm.merge_gradients(sums, gamma, rstd, _places(count, "count"), scale, shift)
    return scale, shift


def _places(value: int, name: str) -> int:
    """Return a number of elements, or raise ValueError unless an array could have so many."""
    if whole(value, name) > np.iinfo(np.intp).max:
        raise ValueError(f"{name} is {value}; no array has so many elements")
    return int(value)
