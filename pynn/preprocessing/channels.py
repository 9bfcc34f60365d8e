"""Shift and scale each channel of images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .scaling import Center, ShiftScale, Standardize


class _PerChannel(ShiftScale):
    """Images (N, C, H, W): one statistic per channel. Fitting determines only C; H and W may vary."""

    mean_: NDArray[np.float64]

    def _by_feature(self, block: NDArray[Any]) -> NDArray[Any]:
        return block.reshape(len(block), block.shape[1], -1)

    def _feature_shape(self, x: NDArray[Any]) -> tuple[int, ...]:
        return x.shape[1:2]

    def _training_batch(self, x: ArrayLike) -> NDArray[Any]:
        x = super()._training_batch(x)
        if x.ndim != 4:
            raise ValueError(f"x has shape {x.shape}; {type(self).__name__} expects images (N, C, H, W)")
        return x

    def _check_shape(self, x: NDArray[Any]) -> None:
        if x.ndim != 4 or x.shape[1] != len(self.mean_):
            raise ValueError(
                f"x has shape {x.shape}; this {type(self).__name__} was fitted to (N, {len(self.mean_)}, H, W)"
            )

    def _check_state(self, arrays: dict[str, NDArray[Any]]) -> None:
        super()._check_state(arrays)
        if arrays["mean"].ndim != 1:
            raise ValueError(f"array 'mean' of {type(self).__name__} has shape {arrays['mean'].shape}; expected (C,)")

    def shift_scale(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        shift, scale = super().shift_scale()
        return shift.reshape(-1, 1, 1), None if scale is None else scale.reshape(-1, 1, 1)


class ChannelCenter(_PerChannel, Center):
    """Subtract the mean of each channel from images (N, C, H, W): y = x - mean[c].

    Attributes
    ----------
    mean_ : ndarray of shape (C,), float64
        Mean of each channel over all training images and pixels.
    n_samples_seen_ : int
        Number of values per channel: training images times pixels.

    Notes
    -----
    Source: CS231n, "Data preprocessing": per-channel mean.

    Examples
    --------
    >>> import numpy as np
    >>> from pynn.preprocessing import ChannelCenter
    >>> images = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> ChannelCenter().fit(images).mean_
    array([1.5, 5.5])
    """


class ChannelStandardize(_PerChannel, Standardize):
    """Standardise each channel of images (N, C, H, W) to mean 0 and standard deviation 1.

    y = (x - mean[c]) / sqrt(var[c] + eps); a constant channel is centred but not scaled.

    Parameters
    ----------
    eps : float, default 0.0
        Added to the variance.

    Attributes
    ----------
    mean_, m2_, var_, scale_ : ndarray of shape (C,), float64
        Mean, sum of squared deviations, variance and divisor of each channel.
    n_samples_seen_ : int
        Number of values per channel: training images times pixels.

    Notes
    -----
    Source: CS231n, "Data preprocessing": per-channel mean, normalisation.

    Examples
    --------
    >>> import numpy as np
    >>> from pynn.preprocessing import ChannelStandardize
    >>> images = np.array([0.0, 2.0, 5.0, 5.0]).reshape(1, 2, 1, 2)
    >>> ChannelStandardize().fit_transform(images).ravel()
    array([-1.,  1.,  0.,  0.])
    """
