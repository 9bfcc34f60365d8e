"""PyTorch's tensors as arrays, without a copy where that is possible."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..utils.validation import shortened


def array(tensor: Any) -> np.ndarray:
    """Return a tensor's values: a view, or a copy of a sparse tensor's and as float32 of half precision."""
    tensor = tensor.detach()
    if tensor.is_sparse:
        tensor = tensor.coalesce().values()
    if tensor.is_floating_point() and tensor.element_size() < 4:
        tensor = tensor.float()
    values: np.ndarray = tensor.numpy()
    return values


def check_array(value: Any, name: str) -> None:
    """Raise TypeError for anything but a tensor or an array."""
    if not isinstance(value, np.ndarray) and not (hasattr(value, "detach") and hasattr(value, "requires_grad")):
        raise TypeError(f"{name} is {shortened(repr(value), 60)}; expected a tensor or an array")


def check_scalar(value: Any, name: str) -> None:
    """Raise TypeError or ValueError for anything but a number, also as a tensor or array of one element."""
    if isinstance(value, bool | str | bytes) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} is {shortened(repr(value), 60)}; expected a number, or a tensor of one")
    if math.prod(getattr(value, "shape", ())) != 1:
        raise ValueError(f"{name} has shape {tuple(value.shape)}; expected a number, or a tensor of one")


def first_tensor(values: Any) -> Any:
    """Return the first tensor in arguments or results, or None; one with examples before a scalar, floats first.

    A scalar is a setting, or the loss that a module returns beside its prediction.
    """
    found = list(_tensors(values))
    return min(found, key=lambda tensor: (not tensor.ndim, not tensor.is_floating_point()), default=None)


def _tensors(values: Any) -> Iterable[Any]:
    if hasattr(values, "requires_grad") and hasattr(values, "detach"):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(tuple(values.values()))
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)


def one_signed_units(gradient: np.ndarray, narrow: int = 32) -> float:
    """Return the share of the rows (units, fan_in) whose gradients all have one sign, as `ops.one_signed` of columns.

    Examples
    --------
    >>> one_signed_units(np.array([[1.0, 2.0], [1.0, -1.0], [0.0, 0.0]]))
    0.5
    """
    # In most rows the first few columns show both signs: this reads 4% of a (256, 784) gradient.
    start = gradient[:, :narrow]
    left = gradient[(start.max(axis=1) <= 0) | (start.min(axis=1) >= 0)]
    high, low = left.max(axis=1, initial=0), left.min(axis=1, initial=0)
    zero = int(np.count_nonzero((high == 0) & (low == 0)))
    counted = len(gradient) - zero
    return (int(np.count_nonzero((high <= 0) | (low >= 0))) - zero) / counted if counted else float("nan")
