"""The arrays of layers by name: parameters and untrained state; and whether a dictionary of them is pynn's."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.arrays import as_array
from ..utils.validation import shortened
from .layers import Layer, Linear

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .parameters import FlatParameters


class StateDict(dict[str, Any]):
    """The arrays of a model by name, such as "0.weight", in pynn's layout: `Linear` weights are (in, out).

    `Sequential.state_dict` returns one. PyTorch's state dicts have the same names with (out, in) weights, and no shape
    tells a square weight from its transpose; the class does. It is kept by ``copy``, ``|``, `copy.deepcopy` and
    `pickle`.

    Parameters
    ----------
    *args, **kwargs
        As of `dict`. ``StateDict(arrays)`` declares that `arrays` are in pynn's layout.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Linear(2, 2, bias=False))
    >>> model.load_state_dict(pynn.StateDict({"0.weight": np.eye(2)}))
    >>> model.load_state_dict({"0.weight": np.eye(2)})
    Traceback (most recent call last):
        ...
    ValueError: 0.weight has shape (2, 2), which may be pynn's (in, out) or PyTorch's (out, in): ...
    """

    def copy(self) -> StateDict:
        """Return a `StateDict` of the same arrays."""
        return StateDict(self)

    def __or__(self, other: Any) -> StateDict:  # type: ignore[override]
        return StateDict(super().__or__(other))


def arrays_of(layer: Layer) -> dict[str, np.ndarray]:
    """Return all parameters and running statistics, the inner layers' included, by name, such as "0.weight"."""
    return {name: parameter.data for name, parameter in layer.named_parameters()} | dict(layer.named_buffers())


def arrays_in_place(model: Layer, flat: FlatParameters) -> list[np.ndarray]:
    """Return the same memory in few arrays: all parameters as one, that of `flat`, then the running statistics."""
    return [flat.values, *(buffer for _, buffer in model.named_buffers())]


def write_arrays(own: Mapping[str, np.ndarray], state: Mapping[str, ArrayLike]) -> None:
    """Copy `state` to the arrays of the same names; if anything does not fit, copy none."""
    missing, unknown = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unknown:
        difference = f"missing {reprlib.repr(missing)}, unknown {reprlib.repr(unknown)}"
        raise ValueError(f"the state does not fit the model: {difference}")
    values = {name: as_array(state[name], name) for name in own}
    for name, array in values.items():
        if array.shape != own[name].shape:
            raise ValueError(f"{name} has shape {array.shape}; expected {own[name].shape}")
        if array.dtype.kind != "f":
            raise TypeError(f"{name} has dtype {array.dtype}; expected {own[name].dtype}")
    with np.errstate(over="ignore"):
        cast = {name: array.astype(own[name].dtype, copy=False) for name, array in values.items()}
    for name, array in values.items():
        lost = np.isinf(cast[name]) & np.isfinite(array)
        if lost.any():
            raise ValueError(f"{name} has {array[lost][0]:g}, too large for {own[name].dtype}")
    for name, array in cast.items():
        own[name][...] = array


def check_layout(layer: Layer, state: Mapping[str, Any]) -> None:
    """Raise ValueError if `state` is a state dict of PyTorch's, or a dictionary that might be one.

    PyTorch's `Linear` weights are transposed. Shapes tell them apart unless all are square; then only a
    `StateDict` is certain.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"the state is {shortened(repr(state))}; expected a dictionary of names and arrays")
    advice = "load PyTorch's with pynn.load_torch_state(model, state)"
    mark = _mark_of_torch(state, arrays_of(layer).keys())
    if mark is not None:
        raise ValueError(f"the state dict is PyTorch's: {mark}; {advice}")
    if isinstance(state, StateDict):
        return
    weights = {name: np.shape(state[name]) for name in linear_weights(layer) if name in state}
    own = {name: array.shape for name, array in linear_weights(layer).items()}
    for name, shape in weights.items():
        if shape == own[name][::-1] != own[name]:
            raise ValueError(
                f"{name} has shape {shape}; expected {own[name]}. PyTorch's weights are (out, in): {advice}"
            )
    uncertain = [name for name, shape in weights.items() if shape == shape[::-1] and shape != (1, 1)]
    if uncertain and len(uncertain) == sum(shape != (1, 1) for shape in weights.values()):
        raise ValueError(
            f"{uncertain[0]} has shape {weights[uncertain[0]]}, which may be pynn's (in, out) or PyTorch's (out, in): "
            f"{advice}, and pynn's with model.load_state_dict(pynn.StateDict(state))"
        )


def linear_weights(layer: Layer, prefix: str = "") -> dict[str, np.ndarray]:
    """Return the weights by name of all `Linear` layers, which PyTorch holds transposed."""
    if isinstance(layer, Linear):
        return {f"{prefix}weight": layer.weight.data}
    inner = (linear_weights(child, f"{prefix}{name}.") for name, child in layer.children())
    return {name: weight for weights in inner for name, weight in weights.items()}


def is_tensor(value: Any) -> bool:
    """Return whether `value` is a tensor of PyTorch's; does not import it."""
    return any(base.__module__ == "torch" and base.__name__ == "Tensor" for base in type(value).__mro__)


def _mark_of_torch(state: Mapping[str, Any], own: Collection[str]) -> str | None:
    """Return what tells that PyTorch made a dictionary, or None."""
    for name, value in state.items():
        if is_tensor(value):
            return f"{name} is a torch.Tensor"
        if str(name).endswith("num_batches_tracked") and name not in own:
            return f"it has {name}"
    return "it has PyTorch's _metadata" if hasattr(state, "_metadata") else None
