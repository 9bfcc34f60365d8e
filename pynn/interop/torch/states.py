"""PyTorch's state dicts, read into networks of pynn. Works without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...nn.sequential import Sequential
from ...nn.state import StateDict, arrays_of, is_tensor, linear_weights, write_arrays
from ...utils.files import FileFormatError, read_tensors


def load_torch_state(
    model: Sequential, state: str | Path | Mapping[str, Any], *, names: Mapping[str, str] | None = None
) -> None:
    """Load the weights and running statistics of a PyTorch network; if anything does not fit, load none.

    The weights of `Linear` are transposed: PyTorch's are (out_features, in_features). All other arrays have the same
    layout in both. ``num_batches_tracked`` is dropped. float16 and bfloat16 become the model's dtype, exactly.

    Parameters
    ----------
    model : Sequential
        A network of the same layers.
    state : path-like or mapping of str to tensor or array
        A ``.safetensors`` file, ``module.state_dict()``, or NumPy arrays by name.
    names : mapping of str to str, optional
        PyTorch's names of layers, or of what contains them, and pynn's: ``{"fc1": "0", "fc2": "2"}``, or
        ``{"module": ""}`` to drop a prefix. Names that it does not mention are the same in both, such as "0.weight" in
        a ``torch.nn.Sequential``.

    Raises
    ------
    ValueError
        If names or shapes do not fit the model, or if the arrays are pynn's own.
    FileFormatError
        If the file is not a safetensors file, such as a pickle (.pt, .pth), which could run code.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Linear(3, 2), pynn.ReLU())
    >>> torch_state = {"fc.weight": np.ones((2, 3)), "fc.bias": np.zeros(2)}  # or module.state_dict()
    >>> pynn.load_torch_state(model, torch_state, names={"fc": "0"})
    >>> model.predict([[1.0, 2.0, 3.0]])
    array([[6., 6.]], dtype=float32)
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"model is {model!r}; expected a pynn.Sequential")
    given = _renamed({name: as_array(value, name) for name, value in _read(state).items()}, names or {})
    own, transposed = arrays_of(model), linear_weights(model)
    kept = {name: array for name, array in given.items() if name in own or not _is_counter(name)}
    for name, weight in transposed.items():
        if name in kept:
            expected = weight.shape[::-1]
            if kept[name].shape != expected:
                raise ValueError(
                    f"{name} has shape {kept[name].shape}; expected {expected}, as PyTorch's weights are (out, in)"
                )
            kept[name] = kept[name].T
    try:
        write_arrays(own, kept)
    except ValueError as error:
        if names is not None or own.keys() == kept.keys():
            raise
        raise ValueError(f"{error}; if only names differ, pass names={{PyTorch's: pynn's}}") from None


def as_array(value: Any, name: str) -> np.ndarray:
    """Return a tensor or array as a NumPy array, or raise ValueError or TypeError."""
    if not is_tensor(value):
        return np.asarray(value)
    if value.device.type != "cpu":
        raise ValueError(f"{name} is on the device {value.device}; expected cpu: call .cpu() first")
    if value.is_quantized or str(value.layout) != "torch.strided":
        raise ValueError(f"{name} is {value.dtype}, {value.layout}; expected a dense floating-point tensor")
    tensor = value.detach()
    # NumPy has no bfloat16; float32 holds each exactly.
    return np.asarray((tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy())


def _read(state: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return PyTorch's arrays by name, or raise ValueError if they are pynn's own."""
    if isinstance(state, StateDict):
        raise ValueError("the state is pynn's own; load it with model.load_state_dict(state)")
    if isinstance(state, Mapping):
        return state
    if not isinstance(state, str | Path):
        what = "; pass its state_dict()" if hasattr(state, "state_dict") else ""
        raise TypeError(f"state is a {type(state).__name__}; expected a path or a dictionary of arrays{what}")
    arrays, metadata = read_tensors(state)
    if "pynn" in metadata:
        raise FileFormatError(f"{state} was written by pynn; read it with pynn.load")
    return arrays


def _renamed(arrays: dict[str, np.ndarray], names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the arrays by pynn's names."""
    renamed: dict[str, np.ndarray] = {}
    used: set[str] = set()
    for name, array in arrays.items():
        prefixes = [prefix for prefix in names if name == prefix or name.startswith(f"{prefix}.")]
        new = name
        if prefixes:
            longest = max(prefixes, key=len)
            used.add(longest)
            new = (names[longest] + name.removeprefix(longest)).removeprefix(".")
        if new in renamed:
            raise ValueError(f"names gives two arrays the name {new}")
        renamed[new] = array
    unused = sorted(names.keys() - used)
    if unused:
        raise ValueError(f"names has {unused[0]!r}, which is the name of no layer in the state dict")
    return renamed


def _is_counter(name: str) -> bool:
    """Return whether it is the name of batch norm's count of batches, which pynn does not need."""
    return name.split(".")[-1] == "num_batches_tracked"
