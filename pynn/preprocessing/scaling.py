"""Shift and scale each feature: centring, standardising, mapping to a range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .base import Transformer, as_numbers, check_eps, check_real, float_type, row_blocks

#: Of the ends of `MinMax.feature_range`: float32 holds results in between, and their inverse.
LARGEST_END = 1e30


class ShiftScale(Transformer):
    """y = (x - shift) / scale + offset, with one shift and one scale per feature.

    The statistics treat an example as (features, places): by default each element of an example is a feature with one
    place; for the channel transformers the features are the channels and the places are the pixels.
    """

    def transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return `x` shifted and scaled by the formula of the class, as a new array.

        Parameters
        ----------
        x : array_like of shape (N, ...)
            Examples of the fitted shape; N may be 0.

        Returns
        -------
        ndarray
            Same shape as `x`; float64 if `x` is float64, else float32.

        Raises
        ------
        NotFittedError
            Before fitting.
        ValueError
            If the rows of `x` do not have the fitted shape.
        """
        self._require_fitted()
        x = as_numbers(x)
        self._check_shape(x)
        shift, scale = self.shift_scale()
        out = np.empty(x.shape, float_type(x))
        # NumPy computes in float64 on small buffers and rounds when writing: no cancellation in float32, and no
        # temporary array of the size of x.
        np.subtract(x, shift, out=out, casting="same_kind")
        if scale is not None:
            np.divide(out, scale, out=out, casting="same_kind")
        if self.offset():
            out += self.offset()
        return out

    def inverse_transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return `x` scaled and shifted back, as a new array.

        Parameters
        ----------
        x : array_like of shape (N, ...)
            The result of `transform`.

        Returns
        -------
        ndarray
            Same shape as `x`; float64 if `x` is float64, else float32.

        Raises
        ------
        NotFittedError
            Before fitting.
        ValueError
            If the rows of `x` do not have the fitted shape.
        """
        self._require_fitted()
        x = as_numbers(x)
        self._check_shape(x)
        shift, scale = self.shift_scale()
        out = np.empty(x.shape, float_type(x))
        np.subtract(x, self.offset(), out=out, casting="same_kind")
        if scale is not None:
            np.multiply(out, scale, out=out, casting="same_kind")
        np.add(out, shift, out=out, casting="same_kind")
        return out

    def shift_scale(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Return shift and scale (None for none), in shapes that broadcast against x."""
        raise NotImplementedError

    def offset(self) -> np.float64:
        """Return what is added at the end, after shift and scale."""
        return np.float64(0.0)

    def _by_feature(self, block: NDArray[Any]) -> NDArray[Any]:
        """View a block of examples as (N, features, places)."""
        return block.reshape(len(block), -1, 1)

    def _feature_shape(self, x: NDArray[Any]) -> tuple[int, ...]:
        """Return the shape of a statistic with one element per feature of `x`."""
        return x.shape[1:]

    def _check_state(self, arrays: dict[str, NDArray[Any]]) -> None:
        shapes = {name: array.shape for name, array in arrays.items()}
        if len(set(shapes.values())) != 1 or () in shapes.values():
            raise ValueError(f"the arrays of {type(self).__name__} have shapes {shapes}; expected one shape (...)")


class Center(ShiftScale):
    """Subtract the mean of each feature: y = x - mean.

    Every element of an example is a feature, so for images the mean is the lecture's "mean image". The mean is summed
    in float64 and merged over blocks and `partial_fit` calls (Chan, Golub, LeVeque 1979).

    Attributes
    ----------
    mean_ : ndarray of float64
        Mean of the training examples, with the shape of one example.
    n_samples_seen_ : int
        Number of training examples.

    Notes
    -----
    Source: CS231n, "Data preprocessing": mean subtraction.

    Examples
    --------
    >>> from pynn.preprocessing import Center
    >>> center = Center().fit([[1.0, 2.0], [3.0, 6.0]])
    >>> center.mean_
    array([2., 4.])
    >>> center.transform([[1.0, 2.0]])
    array([[-1., -2.]])
    """

    _state_names = ("n_samples_seen", "mean")
    mean_: NDArray[np.float64]

    def _update(self, x: NDArray[Any]) -> None:
        shape = self._feature_shape(x)
        count = vars(self).get("n_samples_seen_", 0)
        mean = self.mean_ if count else np.zeros(shape)
        for rows in row_blocks(x):
            block = self._by_feature(x[rows])
            added = block.shape[0] * block.shape[2]
            count += added
            mean = mean + (_mean(block).reshape(shape) - mean) * (added / count)
        self.mean_, self.n_samples_seen_ = mean, count

    def _shape_in(self) -> tuple[int, ...]:
        return self.mean_.shape

    def shift_scale(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        return self.mean_, None


class Standardize(ShiftScale):
    """Standardise each feature to mean 0 and standard deviation 1: z = (x - mean) / sqrt(var + eps).

    The variance divides by N. A feature that is constant in the training data is centred but not scaled. Mean and sum
    of squared deviations are computed in float64 in two passes over each block and merged (Chan, Golub, LeVeque
    1979), so a large mean costs no precision.

    Parameters
    ----------
    eps : float, default 0.0
        Added to the variance, so that nearly constant features are not amplified.
    limit : float, optional
        Compress z smoothly into (-limit, limit): y = z / sqrt(1 + (z / limit)^2). Values far out, as in prices or
        populations, then cannot dominate a network, and small ones hardly change.

    Attributes
    ----------
    mean_, m2_, var_, scale_ : ndarray of float64
        Mean, sum of squared deviations, variance and divisor, with the shape of one example.
    is_constant_ : ndarray of bool
        Whether a feature is constant, with the shape of one example.
    n_samples_seen_ : int
        Number of training examples.

    Notes
    -----
    Source: CS231n, "Data preprocessing": normalisation.

    Examples
    --------
    >>> from pynn.preprocessing import Standardize
    >>> standardize = Standardize().fit([[1.0, 5.0], [3.0, 5.0]])
    >>> standardize.transform([[5.0, 6.0]])
    array([[3., 1.]])
    """

    _state_names = ("n_samples_seen", "mean", "m2")
    mean_: NDArray[np.float64]
    m2_: NDArray[np.float64]

    def __init__(self, eps: float = 0.0, limit: float | None = None) -> None:
        self.eps = eps
        self.limit = limit

    def transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return `x` standardised, and compressed if there is a `limit`, as a new array; see `ShiftScale.transform`."""
        out = super().transform(x)
        if self.limit is not None:
            out /= np.hypot(1, out / self.limit)
        return out

    def inverse_transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return the raw values of standardised ones; beyond the limit they are infinite."""
        if self.limit is not None:
            x = as_numbers(x)
            with np.errstate(divide="ignore"):
                x = x / np.sqrt(np.maximum(0, 1 - np.square(x / self.limit, dtype=np.float64))).astype(float_type(x))
        return super().inverse_transform(x)

    @property
    def var_(self) -> NDArray[np.float64]:
        """Variance of each feature over the training examples."""
        self._require_fitted()
        return self.m2_ / self.n_samples_seen_

    @property
    def is_constant_(self) -> NDArray[np.bool_]:
        """Whether each feature is constant in the training examples, up to rounding."""
        var = self.var_
        # Summing n equal numbers c leaves an error of up to n * c * 2**-53 in their mean; a variance within that error
        # counts as zero (as in scikit-learn).
        rounding = self.n_samples_seen_ * np.finfo(np.float64).eps
        return np.asarray(var <= rounding * var + (rounding * self.mean_) ** 2)

    @property
    def scale_(self) -> NDArray[np.float64]:
        """The divisor of each centred feature."""
        return np.sqrt(np.where(self.is_constant_, 1.0, self.var_ + self.eps))

    def _check_params(self) -> None:
        check_eps(self.eps)
        if self.limit is not None:
            check_real("limit", self.limit)
            if self.limit <= 0:
                raise ValueError(f"limit is {self.limit!r}; expected a positive number, or None")

    def _update(self, x: NDArray[Any]) -> None:
        shape = self._feature_shape(x)
        count = vars(self).get("n_samples_seen_", 0)
        mean, m2 = (self.mean_, self.m2_) if count else (np.zeros(shape), np.zeros(shape))
        for rows in row_blocks(x):
            block = self._by_feature(x[rows])
            added = block.shape[0] * block.shape[2]
            block_mean = _mean(block)
            deviation = block - block_mean[:, None]
            block_m2 = np.einsum("nfp,nfp->f", deviation, deviation).reshape(shape)
            delta = block_mean.reshape(shape) - mean
            before, count = count, count + added
            mean = mean + delta * (added / count)
            m2 = m2 + block_m2 + delta**2 * (before * (added / count))
        self.mean_, self.m2_, self.n_samples_seen_ = mean, m2, count

    def _shape_in(self) -> tuple[int, ...]:
        return self.mean_.shape

    def shift_scale(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        return self.mean_, self.scale_

    def _check_state(self, arrays: dict[str, NDArray[Any]]) -> None:
        super()._check_state(arrays)
        if (arrays["m2"] < 0).any():
            raise ValueError(f"array 'm2' of {type(self).__name__} has a negative sum of squares")


def _mean(block: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of each feature of (N, features, places); that of equal values is exactly that value.

    A sum rounds: the mean of 120 times 1e25 comes out 2e9 beside it, and nothing would scale that difference.
    """
    mean = block.mean(axis=(0, 2), dtype=np.float64)
    return np.clip(mean, block.min(axis=(0, 2)), block.max(axis=(0, 2)))


class MinMax(ShiftScale):
    """Map each feature's range linearly to `feature_range`: y = lo + (x - min) / (max - min) * (hi - lo).

    A feature that is constant in the training data is mapped to lo; deviations from it are multiplied by (hi - lo).

    Parameters
    ----------
    feature_range : tuple of two floats, default (0.0, 1.0)
        The images of the minimum and the maximum of the training data: (lo, hi), lo < hi.
    clip : bool, default False
        Whether to clip results outside `feature_range`, as new data may give; `inverse_transform` cannot undo that.

    Attributes
    ----------
    data_min_, data_max_ : ndarray of float64
        Minimum and maximum of each feature, with the shape of one example.
    n_samples_seen_ : int
        Number of training examples.

    Notes
    -----
    Source: CS231n, "Data preprocessing": normalisation, second form.

    Examples
    --------
    >>> from pynn.preprocessing import MinMax
    >>> MinMax((-1, 1)).fit_transform([[0.0], [5.0], [10.0]])
    array([[-1.],
           [ 0.],
           [ 1.]])
    """

    _state_names = ("n_samples_seen", "data_min", "data_max")
    data_min_: NDArray[np.float64]
    data_max_: NDArray[np.float64]

    def __init__(self, feature_range: tuple[float, float] = (0.0, 1.0), clip: bool = False) -> None:
        self.feature_range = feature_range
        self.clip = clip

    def transform(self, x: ArrayLike) -> NDArray[Any]:
        """Return lo + (x - min) / (max - min) * (hi - lo) for each feature, as a new array.

        Parameters
        ----------
        x : array_like of shape (N, ...)
            Examples of the fitted shape; N may be 0.

        Returns
        -------
        ndarray
            Same shape as `x`; float64 if `x` is float64, else float32.

        Raises
        ------
        NotFittedError
            Before fitting.
        ValueError
            If the rows of `x` do not have the fitted shape.
        """
        out = super().transform(x)
        if self.clip:
            np.clip(out, *self.feature_range, out=out)
        return out

    def _check_params(self) -> None:
        if not isinstance(self.feature_range, tuple | list) or len(self.feature_range) != 2:
            raise TypeError(f"feature_range is {self.feature_range!r}; expected a pair (lo, hi)")
        for end in self.feature_range:
            check_real("an end of feature_range", end)
            if abs(end) > LARGEST_END:
                raise ValueError(f"an end of feature_range is {end:g}; expected at most {LARGEST_END:g} in size")
        if not self.feature_range[0] < self.feature_range[1]:
            raise ValueError(f"feature_range is {self.feature_range!r}; expected (lo, hi) with lo < hi")
        if not isinstance(self.clip, bool | np.bool_):
            raise TypeError(f"clip is {self.clip!r}; expected True or False")

    def _update(self, x: NDArray[Any]) -> None:
        low, high = x.min(axis=0).astype(np.float64), x.max(axis=0).astype(np.float64)
        count = vars(self).get("n_samples_seen_", 0)
        if count:
            low, high = np.minimum(low, self.data_min_), np.maximum(high, self.data_max_)
        self.data_min_, self.data_max_, self.n_samples_seen_ = low, high, count + len(x)

    def _shape_in(self) -> tuple[int, ...]:
        return self.data_min_.shape

    def shift_scale(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        lo, hi = self.feature_range
        extent = self.data_max_ - self.data_min_
        return self.data_min_, np.where(extent > 0, extent, 1.0) / (hi - lo)

    def offset(self) -> np.float64:
        return np.float64(self.feature_range[0])

    def _check_state(self, arrays: dict[str, NDArray[Any]]) -> None:
        super()._check_state(arrays)
        if (arrays["data_min"] > arrays["data_max"]).any():
            raise ValueError("array 'data_min' of MinMax exceeds 'data_max'")
