"""Rotate data to their principal axes, and whiten them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .base import NotFittedError, Transformer, as_numbers, check_eps, float_type, row_blocks


class Decorrelation(Transformer):
    """Base class of PCA, PCAWhiten and ZCA: covariance, eigenvectors, and multiplication by a matrix.

    An example is flattened to d numbers. The scatter matrix sum (x - mean)(x - mean)^T is merged exactly over blocks
    and `partial_fit` calls, in float64; its eigenvectors are computed lazily.
    """

    _state_names = ("n_samples_seen", "mean", "components", "explained_variance")
    mean_: NDArray[np.float64]
    _scatter_: NDArray[np.float64]
    _axes_: tuple[NDArray[np.float64], NDArray[np.float64]] | None

    @property
    def components_(self) -> NDArray[np.float64]:
        """Principal axes as rows, (k, d), by decreasing variance; the largest entry of each is positive."""
        return self._axes()[0]

    @property
    def explained_variance_(self) -> NDArray[np.float64]:
        """Variance of the training data along each axis, (k,), with divisor N - 1."""
        return self._axes()[1]

    def transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return the examples centred and multiplied by the transformer's matrix, as a new array.

        Parameters
        ----------
        x : array_like of shape (N, ...)
            Examples of the fitted shape; N may be 0.

        Returns
        -------
        ndarray
            (N, k) from PCA and PCAWhiten, the shape of `x` from ZCA; float64 if `x` is float64, else float32.

        Raises
        ------
        NotFittedError
            Before fitting.
        ValueError
            If the rows of `x` do not have the fitted shape, or if the transformer was fitted to only one row.
        """
        self._require_fitted()
        x = as_numbers(x)
        self._check_shape(x)
        matrix = self.matrix()
        mean = self.mean_.reshape(-1)
        out = np.empty((len(x), matrix.shape[1]), float_type(x))
        # Large blocks of rows keep the product efficient. It is computed in float64 even for float32 data, because
        # whitening amplifies the rounding errors of directions with little variance by up to 1 / sqrt(eps).
        for rows in row_blocks(x, minimum=256):
            out[rows] = (x[rows].reshape(-1, len(mean)) - mean) @ matrix
        return out.reshape(len(x), *self._shape_out(matrix.shape[1]))

    def inverse_transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return `x` transformed back, as a new array; exact unless directions were dropped.

        Parameters
        ----------
        x : array_like
            The result of `transform`.

        Returns
        -------
        ndarray of shape (N, ...)
            Examples of the fitted shape; float64 if `x` is float64, else float32.

        Raises
        ------
        NotFittedError
            Before fitting.
        ValueError
            If the rows of `x` do not have the shape that `transform` returns.
        """
        self._require_fitted()
        x = as_numbers(x)
        matrix = self.inverse_matrix()
        expected = self._shape_out(matrix.shape[0])
        if x.shape[1:] != expected:
            wanted = ", ".join(map(str, ("N", *expected)))
            raise ValueError(f"x has shape {x.shape}; transform of this {type(self).__name__} returns ({wanted})")
        mean = self.mean_.reshape(-1)
        out = np.empty((len(x), len(mean)), float_type(x))
        for rows in row_blocks(x, minimum=256):
            out[rows] = x[rows].reshape(-1, len(matrix)) @ matrix + mean
        return out.reshape(len(x), *self.mean_.shape)

    def matrix(self) -> NDArray[np.float64]:
        """Return the matrix that multiplies centred rows, (d, k)."""
        raise NotImplementedError

    def inverse_matrix(self) -> NDArray[np.float64]:
        """Return the (pseudo-)inverse of `matrix`, (k, d)."""
        raise NotImplementedError

    def _shape_out(self, width: int) -> tuple[int, ...]:
        return (width,)

    def _count_of_axes(self, features: int) -> int:
        return features

    def _shape_in(self) -> tuple[int, ...]:
        return self.mean_.shape

    def _update(self, x: NDArray[Any]) -> None:
        features = math.prod(x.shape[1:])
        self._count_of_axes(features)
        count = vars(self).get("n_samples_seen_", 0)
        if not count:
            mean, scatter = np.zeros(features), np.zeros((features, features))
        elif "_scatter_" in vars(self):
            mean, scatter = self.mean_.reshape(-1), self._scatter_.copy()
        else:
            raise NotFittedError(
                f"this {type(self).__name__} was restored from its state, which has no covariance to update; "
                "call fit, or partial_fit on a new one"
            )
        for rows in row_blocks(x, minimum=features):
            block = x[rows].reshape(-1, features)
            added = len(block)
            block_mean = block.mean(axis=0, dtype=np.float64)
            # The last row is the scaled difference between the old mean and the block's (Chan's merge), so that one
            # product adds everything without a second d x d array.
            deviation = np.empty((added + 1, features))
            np.subtract(block, block_mean, out=deviation[:-1])
            delta = block_mean - mean
            before, count = count, count + added
            deviation[-1] = delta * math.sqrt(before * (added / count))
            mean = mean + delta * (added / count)
            scatter += deviation.T @ deviation
        self.mean_, self._scatter_, self.n_samples_seen_ = mean.reshape(x.shape[1:]), scatter, count
        self._axes_ = None

    def _axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        self._require_fitted()
        if self._axes_ is None:
            if self.n_samples_seen_ < 2:
                raise ValueError(f"{type(self).__name__} was fitted to one row; a covariance needs at least two")
            self._check_params()
            variance, vectors = np.linalg.eigh(self._scatter_ / (self.n_samples_seen_ - 1))
            kept = self._count_of_axes(len(variance))
            # A fixed memory order, so that a restored transformer gives bit-identical products.
            components = np.ascontiguousarray(vectors.T[::-1][:kept])
            largest = np.abs(components).argmax(axis=1)
            components *= np.sign(components[np.arange(kept), largest])[:, None]
            self._axes_ = components, np.maximum(variance[::-1][:kept], 0.0)
        return self._axes_

    def _check_state(self, arrays: dict[str, NDArray[Any]]) -> None:
        mean, components, variance = arrays["mean"], arrays["components"], arrays["explained_variance"]
        kept = len(variance) if variance.ndim else 0
        fits = mean.ndim > 0 and variance.shape == (kept,) and components.shape == (kept, mean.size)
        if not fits or kept != self._count_of_axes(mean.size):
            raise ValueError(
                f"the arrays of {self!r} have shapes mean {mean.shape}, components {components.shape}, "
                f"explained_variance {variance.shape}; expected (...), (k, d), (k,) with d numbers in mean"
            )
        if (variance < 0).any():
            raise ValueError(f"array 'explained_variance' of {type(self).__name__} has a negative variance")
        # Set here, not by the caller, because the two are properties of one attribute.
        self._axes_ = arrays.pop("components"), arrays.pop("explained_variance")


class PCA(Decorrelation):
    """Centre the data and rotate them to their principal axes: y = (x - mean) V, decorrelated, by decreasing variance.

    The columns of V are the eigenvectors of the covariance matrix, computed in float64 by `numpy.linalg.eigh`; the sign
    of each is chosen so that its largest entry is positive. Memory is O(d^2), with d the number of elements of one
    example (images are flattened).

    Parameters
    ----------
    n_components : int, optional
        Number of axes to keep, 1 <= n_components <= d; None keeps all d.

    Attributes
    ----------
    mean_ : ndarray of float64
        Mean of the training examples, with the shape of one example.
    components_ : ndarray of shape (k, d), float64
        The axes, as rows.
    explained_variance_ : ndarray of shape (k,), float64
        Variance along each axis, with divisor N - 1.
    n_samples_seen_ : int
        Number of training examples.

    Notes
    -----
    Source: CS231n, "Data preprocessing": PCA.

    Examples
    --------
    >>> from pynn.preprocessing import PCA
    >>> pca = PCA(n_components=1).fit([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> pca.components_.round(3)
    array([[0.6, 0.8]])
    >>> pca.transform([[6.0, 8.0]]).round(3)
    array([[5.]])
    """

    def __init__(self, n_components: int | None = None) -> None:
        self.n_components = n_components

    def _check_params(self) -> None:
        wanted = self.n_components
        if wanted is None:
            return
        if isinstance(wanted, bool) or not isinstance(wanted, int | np.integer):
            raise TypeError(f"n_components is {wanted!r}; expected an int or None")
        if wanted < 1:
            raise ValueError(f"n_components is {wanted!r}; expected at least 1")

    def _count_of_axes(self, features: int) -> int:
        if self.n_components is None:
            return features
        if self.n_components > features:
            raise ValueError(f"n_components is {self.n_components!r}, but the data have only {features} features")
        return int(self.n_components)

    def matrix(self) -> NDArray[np.float64]:
        return self.components_.T

    def inverse_matrix(self) -> NDArray[np.float64]:
        return self.components_


def _gains(variance: NDArray[np.float64], eps: float, features: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 1 / sqrt(variance + eps) and its inverse, both 0 where the variance is only rounding error.

    That happens only if eps is smaller than the error of the eigenvalues, as with eps = 0 and fewer examples than
    features; dividing by it would fill the output with amplified noise.
    """
    power = variance + eps
    noise = features * np.finfo(np.float64).eps * variance.max()
    kept = power > noise
    scale = np.sqrt(np.where(kept, power, 1.0))
    return np.where(kept, 1.0 / scale, 0.0), np.where(kept, scale, 0.0)


class PCAWhiten(PCA):
    """Rotate to the principal axes and scale each to variance 1: y = (x - mean) V / sqrt(variance + eps).

    Parameters
    ----------
    n_components : int, optional
        Number of axes to keep, 1 <= n_components <= d; None keeps all d.
    eps : float, default 1e-5
        Added to the variances, so that directions with almost no variance are not amplified. With eps=0, directions
        whose variance is only rounding error give 0.

    Attributes
    ----------
    mean_, components_, explained_variance_, n_samples_seen_
        As in `PCA`.

    Notes
    -----
    Source: CS231n, "Data preprocessing": whitening.

    Examples
    --------
    >>> from pynn.preprocessing import PCAWhiten
    >>> PCAWhiten(eps=0.0).fit_transform([[0.0, 2.0], [0.0, -2.0], [1.0, 0.0], [-1.0, 0.0]]).round(3)
    array([[ 1.225,  0.   ],
           [-1.225,  0.   ],
           [ 0.   ,  1.225],
           [ 0.   , -1.225]])
    """

    def __init__(self, n_components: int | None = None, eps: float = 1e-5) -> None:
        super().__init__(n_components)
        self.eps = eps

    def _check_params(self) -> None:
        super()._check_params()
        check_eps(self.eps)

    def matrix(self) -> NDArray[np.float64]:
        return self.components_.T * _gains(self.explained_variance_, self.eps, self.mean_.size)[0]

    def inverse_matrix(self) -> NDArray[np.float64]:
        return self.components_ * _gains(self.explained_variance_, self.eps, self.mean_.size)[1][:, None]


class ZCA(Decorrelation):
    """Whiten and rotate back, so that the result stays close to the data: y = (x - mean) V / sqrt(variance + eps) V^T.

    Whitened images still look like images. The output has the shape of the input.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the variances, so that directions with almost no variance are not amplified. With eps=0, directions
        whose variance is only rounding error give 0.

    Attributes
    ----------
    mean_, components_, explained_variance_, n_samples_seen_
        As in `PCA`.

    Notes
    -----
    Source: CS231n, "Data preprocessing": whitening; Bell & Sejnowski 1997 for the rotation back.

    Examples
    --------
    >>> import numpy as np
    >>> from pynn.preprocessing import ZCA
    >>> x = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 9.0], [1.0, 7.0]])
    >>> np.cov(ZCA(eps=0.0).fit_transform(x), rowvar=False).round(3) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """

    def __init__(self, eps: float = 1e-5) -> None:
        self.eps = eps

    def _check_params(self) -> None:
        check_eps(self.eps)

    def _shape_out(self, width: int) -> tuple[int, ...]:
        return self.mean_.shape

    def matrix(self) -> NDArray[np.float64]:
        return self._between(_gains(self.explained_variance_, self.eps, self.mean_.size)[0])

    def inverse_matrix(self) -> NDArray[np.float64]:
        return self._between(_gains(self.explained_variance_, self.eps, self.mean_.size)[1])

    def _between(self, gains: NDArray[np.float64]) -> NDArray[np.float64]:
        return (self.components_.T * gains) @ self.components_
