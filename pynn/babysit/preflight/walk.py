"""Passes through a network layer by layer."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from ...nn.context import Context
from ...nn.layers import BatchNorm, Layer, Residual
from ...nn.random import Stream
from ...nn.sequential import Sequential

#: Backward pass of a layer; takes the gradient of its output, and whether that sums to 0 over the batch.
Back = Callable[[np.ndarray, bool], tuple[np.ndarray, bool]]


def uses_batch_statistics(layer: Layer) -> bool:
    """Return whether a layer is a batch norm, or a custom layer with running statistics."""
    return isinstance(layer, BatchNorm) or bool(layer.buffer_names)


def chain(model: Sequential) -> list[tuple[str, Layer]]:
    """Return the layers in order, with names such as "3.ReLU".

    A custom container or a residual block counts as one layer.
    """
    found: list[tuple[str, Layer]] = []

    def add(container: Sequential, prefix: str) -> None:
        for name, layer in container.children():
            if isinstance(layer, Sequential) and type(layer).forward is Sequential.forward:
                add(layer, f"{prefix}{name}.")
            else:
                found.append((f"{prefix}{name}.{type(layer).__name__}", layer))

    if type(model).forward is Sequential.forward:
        add(model, "")
    else:
        found.append((type(model).__name__, model))
    return found


class Walk:
    """A pass through the network layer by layer that keeps the input and output of each.

    Attributes
    ----------
    layers : list of (name, Layer)
        Includes the layers of residual blocks; the block itself, which computes the sum, follows them.
    branches : list of str
        The residual branch of each layer; "" on the main path.
    inputs, outputs : list of ndarray
        Per layer.
    prediction : ndarray
        Output of the last layer.
    gradients : list of ndarray
        Gradient of each layer's output, after `back`.
    """

    def __init__(self, model: Sequential, x: np.ndarray, *, training: bool, seed: int = 0) -> None:
        self.layers: list[tuple[str, Layer]] = []
        self.branches: list[str] = []
        self.inputs: list[np.ndarray] = []
        self.outputs: list[np.ndarray] = []
        self.gradients: list[np.ndarray] = []
        self._training, self._seed = training, seed
        self.prediction, self._back = self._through("", model, x, "")

    def _through(self, name: str, layer: Layer, x: np.ndarray, branch: str) -> tuple[np.ndarray, Back]:
        """Return the output of a layer for `x`, and its backward pass."""
        if isinstance(layer, Sequential) and type(layer).forward is Sequential.forward:
            backs = []
            for inner, child in layer.children():
                x, back = self._through(f"{name}.{inner}" if name else inner, child, x, branch)
                backs.append(back)
            return x, lambda dy, sums: functools.reduce(lambda given, back: back(*given), reversed(backs), (dy, sums))
        if isinstance(layer, Residual) and type(layer).forward is Residual.forward:
            return self._around(name, layer, x, branch)
        index = len(self.layers)
        ctx = Context(training=self._training, random=Stream(self._seed + index))
        y = layer.forward(x, ctx)
        self._keep(name, layer, x, y, branch)

        def way_back(dy: np.ndarray, sums_to_zero: bool) -> tuple[np.ndarray, bool]:
            self.gradients[index] = dy
            ctx.dy_sums_to_zero = sums_to_zero
            dx = layer.backward(dy, ctx)
            if dx is None:
                raise TypeError(f"backward of {self.layers[index][0]} returned no gradient")
            return np.ascontiguousarray(dx), ctx.dx_sums_to_zero

        return y, way_back

    def _around(self, name: str, block: Residual, x: np.ndarray, branch: str) -> tuple[np.ndarray, Back]:
        """Return the sum of a residual block, and its backward pass."""
        inner, inner_back = self._through(f"{name}.inner", block.inner, x, f"{name}.inner")
        around, around_back = x, None
        if block.shortcut is not None:
            around, around_back = self._through(f"{name}.shortcut", block.shortcut, x, f"{name}.shortcut")
        index, y = len(self.layers), inner + around
        self._keep(name, block, x, y, branch)

        def way_back(dy: np.ndarray, sums_to_zero: bool) -> tuple[np.ndarray, bool]:
            self.gradients[index] = dy
            other = dy if around_back is None else around_back(dy, False)[0]
            return inner_back(dy, False)[0] + other, False

        return y, way_back

    def _keep(self, name: str, layer: Layer, x: np.ndarray, y: np.ndarray, branch: str) -> None:
        kind = type(layer).__name__
        self.layers.append((f"{name}.{kind}" if name else kind, layer))
        self.branches.append(branch)
        self.inputs.append(x)
        self.outputs.append(y)
        self.gradients.append(np.empty(0))

    def back(self, dy: np.ndarray) -> None:
        """Run the backward pass from the gradient of the prediction; sets the gradients of all parameters."""
        self._back(dy, False)
