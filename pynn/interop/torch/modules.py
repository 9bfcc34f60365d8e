"""Conversion of PyTorch's modules to networks of pynn, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ...nn.layers import BatchNorm, Layer
from ...nn.rebuilding import rebuilt_from
from ...nn.saving import TRANSFORMERS
from ...nn.sequential import Sequential
from ...nn.state import arrays_of, linear_weights
from ...utils.config import parameters_of
from .obstacles import arrays_in, is_chain, leaves, obstacles
from .package import pytorch
from .pairs import LAYER_OF, MODULE_OF, WITHOUT
from .states import load_torch_state

if TYPE_CHECKING:
    import torch


def from_torch(module: torch.nn.Module) -> Sequential:
    """Return a network with the layers, weights, running statistics and mode of a PyTorch module.

    Parameters
    ----------
    module : torch.nn.Module
        A ``torch.nn.Sequential``, which may contain others, or a single layer. The arrays are copied.

    Returns
    -------
    Sequential
        Outputs and gradients equal the module's to rounding. Parameters that need no gradient are frozen.

    Raises
    ------
    ValueError
        Naming every layer that pynn lacks or that computes otherwise (hooks, parametrizations, shared parameters,
        settings), by its path in the module. For a module with a ``forward`` of its own, make the network in pynn, and
        load the weights with `load_torch_state`.
    ImportError
        If PyTorch is not installed.

    Examples
    --------
    >>> import torch, pynn
    >>> pynn.from_torch(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU()))
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True, init=None)
      (1): ReLU()
    )
    """
    torch = pytorch("from_torch")
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module is {module!r}; expected a torch.nn.Module")
    found = list(obstacles(module))
    if found:
        raise ValueError("; ".join(found))
    chain = module if is_chain(module) else torch.nn.Sequential(module)
    found_arrays = [arrays_in(leaf) for _, leaf in leaves(chain)]
    tensors = [tensor for arrays in found_arrays for tensor in arrays.values()]
    dtype = np.dtype(str(tensors[0].dtype).removeprefix("torch.") if tensors else "float32")
    with rebuilt_from(sum(tensor.numel() for tensor in tensors)):
        model = _network(chain, "", dtype)
    named = {
        f"{name}.{key}": tensor
        for (name, _), arrays in zip(model.named_leaves(), found_arrays, strict=True)
        for key, tensor in arrays.items()
    }
    load_torch_state(model, named)
    for name, parameter in model.named_parameters():
        parameter.frozen = not named[name].requires_grad
    return model.train(module.training)


def to_torch(model: Sequential) -> torch.nn.Sequential:
    """Return a ``torch.nn.Sequential`` with the layers, weights, running statistics and mode of a network.

    Parameters
    ----------
    model : Sequential
        The arrays are copied.

    Returns
    -------
    torch.nn.Sequential
        Outputs and gradients equal the network's to rounding. Frozen parameters need no gradient. A frozen batch norm,
        which uses its running statistics in training too, is in PyTorch's inference mode; a later ``module.train()``
        ends that.

    Raises
    ------
    ValueError
        Naming every layer that ``torch.nn`` lacks, or the preprocessing of the model, which a module does not apply.
    ImportError
        If PyTorch is not installed.

    Examples
    --------
    >>> import pynn
    >>> pynn.to_torch(pynn.Sequential(pynn.Linear(4, 8), pynn.ReLU()))
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
    )
    """
    if not isinstance(model, Sequential):
        raise TypeError(f"model is {model!r}; expected a pynn.Sequential")
    found = [*_lost(model), *_without_counterpart(model)]
    if found:
        raise ValueError("; ".join(found))
    torch = pytorch("to_torch")
    with torch.random.fork_rng(devices=[]):  # the modules' first weights, drawn in vain
        module = _module(model, torch).to(getattr(torch, model.dtype.name))
    arrays, transposed = arrays_of(model), linear_weights(model)
    for name, tensor in module.state_dict().items():  # views of the module's own tensors
        if name in arrays:
            tensor.copy_(torch.from_numpy(np.array(arrays[name].T if name in transposed else arrays[name])))
    frozen = {name: parameter.frozen for name, parameter in model.named_parameters()}
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(not frozen[name])
    module.train(model.training)
    for name, layer in model.named_leaves():
        if isinstance(layer, BatchNorm) and layer.weight.frozen:
            module.get_submodule(name).eval()
    return module


def _network(chain: Any, prefix: str, dtype: np.dtype) -> Sequential:
    """Return the network of the layers in a ``torch.nn.Sequential``, with any weights."""
    made: list[Layer] = []
    for name, module in chain._modules.items():
        path = f"{prefix}{name}"
        made.append(_network(module, f"{path}.", dtype) if is_chain(module) else layer_like(module, path, dtype))
    return Sequential(*made)


def layer_like(module: Any, path: str, dtype: np.dtype) -> Layer:
    """Return a layer with the settings of a module that has a counterpart, and any weights."""
    kind = type(module).__name__
    pair = LAYER_OF[kind]
    settings = {name: getattr(module, name) for name in pair.settings}
    if "bias" in settings:
        settings["bias"] = settings["bias"] is not None
    if settings.get("align_corners", False) is None:  # PyTorch's default, and all that mode="nearest" takes
        settings["align_corners"] = False
    if "dtype" in parameters_of(pair.layer):
        settings["dtype"] = dtype
    try:
        layer = pair.layer(**settings)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {kind} cannot be converted: {error}") from None
    own, given = sorted(arrays_of(layer)), sorted(arrays_in(module))
    if own != given:
        raise ValueError(f"{path}: {kind} has the arrays {', '.join(given)}; pynn's has {', '.join(own)}")
    return layer


def _lost(model: Sequential) -> Iterator[str]:
    """Yield the parts of a model that a module does not have."""
    for part in TRANSFORMERS:
        if getattr(model, part) is not None:
            yield (
                f"the model has a {part}, which a module does not apply: apply it to the data yourself, and convert a "
                f"copy of the model whose {part} is None"
            )


def _without_counterpart(layer: Layer, name: str = "") -> Iterator[str]:
    """Yield what ``torch.nn`` lacks of a layer and those in it: path, class and reason."""
    kind = type(layer)
    if isinstance(layer, Sequential) and kind.forward is Sequential.forward:
        for child_name, child in layer.children():
            yield from _without_counterpart(child, f"{name}.{child_name}".removeprefix("."))
    elif kind not in MODULE_OF:
        yield f"{name}: {kind.__name__}: {WITHOUT.get(kind, 'it has a forward of its own')}".removeprefix(": ")


def _module(model: Sequential, torch: Any) -> Any:
    """Return the ``torch.nn.Sequential`` of a network's layers, with any weights."""
    made = []
    for layer in model.layers:
        if isinstance(layer, Sequential):
            made.append(_module(layer, torch))
            continue
        pair = MODULE_OF[type(layer)]
        config = layer.config()
        settings = {name: config[name] for name in pair.settings}
        if settings.get("align_corners") is False:
            settings["align_corners"] = None
        fixed = {name: values[0] for name, values in pair.fixed.items()}
        made.append(getattr(torch.nn, pair.module)(**settings, **fixed))
    return torch.nn.Sequential(*made)
