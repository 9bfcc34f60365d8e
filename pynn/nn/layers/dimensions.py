"""Dimensions of inputs: what differs between layers over images and over sequences, which are images of one row."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...ops._windows import Pair, pair
from ...utils.validation import count
from .base import Layer


class OverImages(Layer):
    """Base class of layers over images (batch, channels, height, width)."""

    #: Names of the dimensions after the channels.
    positions: ClassVar[tuple[str, ...]] = ("height", "width")

    def _sizes(self, value: Any, name: str, *, minimum: int = 1) -> tuple[int, ...]:
        """Return an argument as one number per dimension."""
        return pair(value, name, minimum=minimum)

    def _pair(self, sizes: tuple[int, ...], row: int = 1) -> Pair:
        """Return the argument of the ops: for sequences, `row` is the number for the single row."""
        rows, columns = (row, *sizes)[-2:]
        return rows, columns

    def _check_input(self, x: np.ndarray, channels: int | None = None) -> None:
        """Raise ValueError unless x has the dimensions that the layer takes, and that many channels."""
        if x.ndim != 2 + len(self.positions) or channels not in (None, x.shape[1]):
            expected = ", ".join(["batch", "channels" if channels is None else str(channels), *self.positions])
            raise ValueError(f"{type(self).__name__} got an input of shape {x.shape}; expected ({expected})")

    def _as_images(self, x: np.ndarray) -> np.ndarray:
        """Return a view of the shape (batch, channels, height, width)."""
        return x

    def _from_images(self, x: np.ndarray) -> np.ndarray:
        """Return a view in the layer's own shape."""
        return x


class OverSequences(OverImages):
    """Base class, before a layer over images, of its counterpart over sequences (batch, channels, length)."""

    positions = ("length",)

    def _sizes(self, value: Any, name: str, *, minimum: int = 1) -> tuple[int, ...]:
        if isinstance(value, tuple | list):
            if len(value) != 1:
                raise ValueError(f"{name} is {value!r}; expected a number")
            value = value[0]
        return (count(value, name, minimum=minimum),)

    def _as_images(self, x: np.ndarray) -> np.ndarray:
        return x[:, :, None]

    def _from_images(self, x: np.ndarray) -> np.ndarray:
        return x[:, :, 0]


def within_example(dim: Any) -> int:
    """Return the number of a dimension, or raise ValueError if it is 0, the batch."""
    number = count(dim, "dim", minimum=-64)  # the largest number of dimensions in NumPy
    if number == 0:
        raise ValueError("dim is 0, the batch; expected another dimension, such as -1")
    return number
