"""The arrays of layers by name: parameters and untrained state."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .layers import Layer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def arrays_of(layer: Layer) -> dict[str, np.ndarray]:
    """Return all parameters and running statistics, the inner layers' included, by name, such as "0.weight"."""
    return {name: parameter.data for name, parameter in layer.named_parameters()} | dict(layer.named_buffers())


def write_arrays(own: Mapping[str, np.ndarray], state: Mapping[str, ArrayLike]) -> None:
    """Copy `state` to the arrays of the same names; if anything does not fit, copy none."""
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unknown:
        told = f"missing {reprlib.repr(missing)}, unknown {reprlib.repr(unknown)}"
        raise ValueError(f"the state does not fit the model: {told}")
    values = {name: np.asarray(state[name]) for name in own}
    for name, array in values.items():
        if array.shape != own[name].shape:
            raise ValueError(f"{name} has shape {array.shape}; expected {own[name].shape}")
        if array.dtype.kind != "f":
            raise TypeError(f"{name} has dtype {array.dtype}; expected {own[name].dtype}")
    for name, array in values.items():
        own[name][...] = array
