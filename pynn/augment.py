"""Data augmentation: random changes to training images that reduce overfitting.

`Trainer.fit` applies them to the inputs of each training batch, after the model's preprocessing: the fill value 0 is
then the mean of centred data. Your own augmentation is a function ``f(x, rng)``: it takes a batch, which it may
overwrite, and a `numpy.random.Generator`, and returns a batch of the same shape and dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .utils.config import Configurable
from .utils.validation import count, fraction

__all__ = ["Augment", "Cutout", "RandomCrop", "RandomHorizontalFlip"]

#: An augmentation: changes a batch (n, ...) at random. Quoted, because NumPy loads its generators, in 15 ms, when they
#: are named.
Augment = Callable[[np.ndarray, "np.random.Generator"], np.ndarray]


class RandomCrop(Configurable):
    """Shift each image by up to `padding` pixels in both directions, filling with 0.

    Equivalent to a crop of the original size from the zero-padded image, at one of (2 padding + 1)^2 equally likely
    positions.

    Parameters
    ----------
    padding : int
        Pixels on each side.

    Notes
    -----
    Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", 2015, section 4.2: 4 pixels
    for images of 32x32.

    Examples
    --------
    >>> import numpy as np
    >>> RandomCrop(1)(np.ones((1, 1, 3, 3)), np.random.default_rng(2))
    array([[[[0., 1., 1.],
             [0., 1., 1.],
             [0., 0., 0.]]]])
    """

    def __init__(self, padding: int = 4) -> None:
        self.padding = count(padding, "padding")

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        n, channels, height, width = _images(x, self)
        pad = self.padding
        padded = np.zeros((n, channels, height + 2 * pad, width + 2 * pad), x.dtype)
        padded[:, :, pad : pad + height, pad : pad + width] = x
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
        top, left = rng.integers(2 * pad + 1, size=(2, n))
        return windows[np.arange(n), :, top, left]


class RandomHorizontalFlip(Configurable):
    """Mirror each image left to right, with probability p.

    Not for images whose orientation matters, such as letters and digits.

    Parameters
    ----------
    p : float

    Notes
    -----
    Source: He et al. 2015, section 4.2; A. Krizhevsky et al. 2012, section 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> RandomHorizontalFlip(p=1)(np.arange(3.0).reshape(1, 1, 1, 3), np.random.default_rng(0))
    array([[[[2., 1., 0.]]]])
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = fraction(p, "p")

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        _images(x, self)
        mirrored = rng.random(len(x)) < self.p
        x[mirrored] = x[mirrored, ..., ::-1]
        return x

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p:g})"


class Cutout(Configurable):
    """Set one square of each image to 0, in all channels.

    Its centre is a random pixel, so part of the square may lie outside the image.

    Parameters
    ----------
    length : int
        Side of the square in pixels.

    Notes
    -----
    Source: T. DeVries, G. Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017: 16
    pixels for CIFAR-10, with crops and flips before it.

    Examples
    --------
    >>> import numpy as np
    >>> Cutout(2)(np.ones((1, 1, 3, 4)), np.random.default_rng(0))
    array([[[[1., 1., 1., 1.],
             [1., 0., 0., 1.],
             [1., 0., 0., 1.]]]])
    """

    def __init__(self, length: int = 16) -> None:
        self.length = count(length, "length")

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        n, _, height, width = _images(x, self)
        rows, columns = (self._covered(rng.integers(size, size=n), size) for size in (height, width))
        np.copyto(x, 0, where=(rows[:, :, None] & columns[:, None, :])[:, None])
        return x

    def _covered(self, centre: np.ndarray, size: int) -> np.ndarray:
        """Return a mask (n, size) of the coordinates along one axis that lie within the square."""
        distance = np.arange(size) - (centre - self.length // 2)[:, None]
        return (distance >= 0) & (distance < self.length)


def _images(x: np.ndarray, change: object) -> tuple[int, ...]:
    if x.ndim != 4:
        raise ValueError(f"{change!r} got a batch of shape {x.shape}; expected images, (n, channels, height, width)")
    return x.shape


def as_changes(augment: Any) -> tuple[Augment, ...]:
    """Return one augmentation or several as a tuple, or raise TypeError."""
    changes = tuple(augment) if isinstance(augment, Iterable) and not isinstance(augment, str) else (augment,)
    for change in changes:
        if isinstance(change, type) or not callable(change):
            hint = f": write {change.__name__}()" if isinstance(change, type) else ""
            raise TypeError(
                f"augment has {change!r}; expected augmentations from pynn.augment, or functions f(x, rng){hint}"
            )
    return changes


def name_of(change: Augment) -> str:
    """Return the name of an augmentation in checkpoints; it is the same in every process."""
    named = type(change).__repr__ is object.__repr__
    return getattr(change, "__qualname__", None) or (type(change).__qualname__ if named else repr(change))
