"""A PyTorch module as a monitor reads it: a chain of pynn's layers whose parameters are views of its tensors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..interop.torch.modules import layer_like
from ..interop.torch.package import pytorch
from ..interop.torch.pairs import LAYER_OF
from ..nn.layers import Embedding, Layer
from ..nn.layers.activations import Activation
from ..nn.parameters import Parameter
from ..nn.rebuilding import rebuilt_from
from ..nn.traversal import followers, parts, units_last
from .tensors import array, first_tensor

if TYPE_CHECKING:
    from ..nn.context import Context

#: Examples per batch of `Network.infer`.
BATCH = 256


class Foreign(Layer):
    """Stands for a module that pynn does not know; a subclass per class of module carries its name."""


class Slots:
    """The parameters of a `Network`, in the form of `nn.parameters.FlatParameters`; `version` counts changes."""

    def __init__(self, named: Sequence[tuple[str, Parameter]]) -> None:
        self.version = 0
        self.slots = [(name, parameter, 0, parameter.size) for name, parameter in named]


class Network:
    """The modules that a forward pass called, in this order, as layers.

    Parameters
    ----------
    module : torch.nn.Module
    uses : list of (str, torch.nn.Module, int)
        Path, module, and how often the pass had called it before. A module with parameters counts once: its later
        uses, such as those of an unrolled recurrent cell, share the weights.
    updated : set of int
        The ids of the tensors that the optimiser updates; other parameters count as frozen.

    Attributes
    ----------
    layers : dict of (module, use) to Layer
    units_last : set of int
        The ids of layers whose outputs have their units in the last dimension.
    flat : Slots
    """

    class_names = None

    def __init__(self, module: Any, uses: Sequence[tuple[str, Any, int]], updated: set[int]) -> None:
        self.module = module
        self._chain: list[tuple[str, Layer]] = []
        self._tensors: list[tuple[Parameter, Any, str, bool]] = []
        self.layers: dict[tuple[int, int], Layer] = {}
        for path, part, use in uses:
            layer = self._layer(part, path)
            name = (path or "module") + (f"({use + 1})" if use else "")
            self._chain.append((name, layer))
            self.layers[id(part), use] = layer
        self.units_last = units_last(self.leaves(), (Foreign,))
        self.flat = Slots(list(self.named_parameters()))
        self.refresh(updated)

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the layers by path, in the order of computation."""
        yield from self._chain

    def leaves(self) -> list[Layer]:
        """Return the layers."""
        return [layer for _, layer in self._chain]

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield the parameters by the names of the tensors."""
        for path, layer in self._chain:
            yield from layer.named_parameters(f"{path}.")

    def parameters(self) -> list[Parameter]:
        """Return the parameters."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_buffers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield views of the module's buffers, such as running statistics."""
        yield from ((name, array(buffer)) for name, buffer in self.module.named_buffers())

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the module's state."""
        return {name: value.clone() for name, value in self.module.state_dict().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Write a state that `state_dict` returned to the module."""
        self.module.load_state_dict(state)

    def watched(self) -> set[int]:
        """Return the ids of the layers whose outputs are recorded.

        A layer in front of an activation is seen through that activation, as pynn's kernels do where they fuse both.
        """
        chain = parts(self)  # type: ignore[arg-type]  # all that it reads is `children`
        pairs = zip(chain, followers(chain), strict=True)
        return {id(part.layer) for part, follower in pairs if not isinstance(follower, Activation)}

    def refresh(self, updated: set[int]) -> None:
        """Follow tensors whose memory was replaced, and parameters that were frozen or released."""
        for parameter, owner, name, transposed in self._tensors:
            tensor = _attribute(owner, name)
            values = array(tensor)
            if transposed:
                values = values.T
            if values.ctypes.data != parameter.data.ctypes.data or values.shape != parameter.shape:
                parameter.data = values
            frozen = not tensor.requires_grad or id(tensor) not in updated
            if frozen != parameter.frozen:
                parameter.frozen = frozen
                self.flat.version += 1

    def tensor_of(self, parameter: Parameter) -> Any:
        """Return the tensor that a parameter views."""
        return next(_attribute(owner, name) for known, owner, name, _ in self._tensors if known is parameter)

    def infer(self, x: np.ndarray) -> np.ndarray:
        """Return the module's output in eval mode, batch by batch."""
        taken = [self._output(x[start : start + BATCH], False) for start in range(0, len(x), BATCH)]
        return np.concatenate(taken)

    def forward(self, x: np.ndarray, ctx: Context) -> np.ndarray:
        """Return the module's output in the mode of a context."""
        return self._output(x, ctx.training)

    def _output(self, x: np.ndarray, training: bool) -> np.ndarray:
        """Run the module, and leave its modes and PyTorch's random numbers as they are."""
        torch = pytorch()
        modes = [(part, part.training) for part in self.module.modules()]
        with torch.no_grad(), torch.random.fork_rng(devices=[]) if training else contextlib.nullcontext():
            try:
                self.module.train(training)
                return array(first_tensor(self.module(torch.from_numpy(np.ascontiguousarray(x)))))
            finally:
                for part, mode in modes:
                    part.training = mode

    def _layer(self, module: Any, path: str) -> Layer:
        """Return the layer of a module, its parameters views of the tensors."""
        layer = _counterpart(module, path)
        if layer is None:
            layer = _foreign(module)
        for name, parameter in layer.named_parameters():
            tensor = _attribute(module, name)
            if tensor.dtype not in (pytorch().float32, pytorch().float64) or tensor.device.type != "cpu":
                raise ValueError(
                    f"{path}.{name} is {tensor.dtype} on {tensor.device}; watch_torch expects float32 or float64 on cpu"
                )
            transposed = tensor.ndim == 2 and not isinstance(layer, Embedding)
            parameter.data = array(tensor).T if transposed else array(tensor)
            self._tensors.append((parameter, module, name, transposed))
        return layer


def _attribute(owner: Any, path: str) -> Any:
    for name in path.split("."):
        owner = getattr(owner, name)
    return owner


def _counterpart(module: Any, path: str) -> Layer | None:
    """Return pynn's layer for a module of PyTorch's, or one derived from it; None if there is none."""
    layers = pytorch().nn
    kinds = [kind for kind in type(module).__mro__ if kind is getattr(layers, kind.__name__, None)]
    if not kinds or kinds[0].__name__ not in LAYER_OF:
        return None
    try:
        with rebuilt_from(2 * sum(tensor.numel() for tensor in module.parameters()) + 1000):
            return layer_like(module, path, np.dtype(np.float32))
    except (TypeError, ValueError, KeyError, AttributeError):  # settings that pynn lacks, or parametrizations
        return None


def _foreign(module: Any) -> Layer:
    """Return a `Foreign` layer with the parameters of a module and of the modules in it."""
    layer: Layer = type(type(module).__name__, (Foreign,), {"__module__": __name__})()
    convolves = isinstance(module, pytorch().nn.modules.conv._ConvNd) and not module.transposed
    for name, tensor in module.named_parameters():
        parameter = Parameter(
            np.empty(0), decay=tensor.ndim > 1, fans=(0, 0) if convolves and tensor.ndim > 2 else None
        )
        setattr(layer, name, parameter)
    return layer
