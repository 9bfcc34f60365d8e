"""The plan of a chain of layers: which activation and which batch norm are fused into the layer before them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .layers import Conv2d, Layer
from .layers.activations import Activation
from .layers.batchnorm import BatchNorm


class Link(NamedTuple):
    """One layer of a chain, and what is decided for it when the chain is made.

    Attributes
    ----------
    place : int
        The layer's place in the chain.
    layer : Layer
    activation : Activation or None
        The next layer, if it is fused into this one, forward and backward.
    norm : Link or None
        The next link, if it is a batch norm that inference can fold into this convolution's weights.
    needs_dx : bool
        Whether a layer before this one has parameters, which need the gradient of this layer's input.
    """

    place: int
    layer: Layer
    activation: Activation | None
    norm: Link | None
    needs_dx: bool


def plan(layers: Sequence[Layer]) -> list[Link]:
    """Return the links of a chain, in order; an activation that is fused into its predecessor has no link."""
    fused = [False, *(_fuses(*pair) for pair in itertools.pairwise(layers)), False]
    first_trained = next((i for i, layer in enumerate(layers) if _has_parameters(layer)), len(layers))
    links: dict[int, Link] = {}
    for index in range(len(layers) - 1, -1, -1):
        if fused[index]:
            continue
        layer, following = layers[index], links.get(index + 1)
        activation = layers[index + 1] if fused[index + 1] else None
        assert activation is None or isinstance(activation, Activation)
        norm = following if following is not None and _folds(layer, following.layer) else None
        links[index] = Link(index, layer, activation, norm, needs_dx=index > first_trained)
    return [links[index] for index in sorted(links)]


def _has_parameters(layer: Layer) -> bool:
    return any(True for _ in layer.named_parameters())


def _fuses(layer: Layer, successor: Layer) -> bool:
    """Return whether a layer's kernels can apply the activation that follows it."""
    return (
        all(getattr(method, "applies_activation", False) for method in (layer.forward, layer.backward))
        and isinstance(successor, Activation)
        and (type(successor).forward, type(successor).backward) == (Activation.forward, Activation.backward)
    )


def _folds(layer: Layer, successor: Layer) -> bool:
    """Return whether the two are a convolution and a batch norm with this package's own forward passes."""
    return (
        isinstance(layer, Conv2d)
        and isinstance(successor, BatchNorm)
        and type(layer).forward is Conv2d.forward
        and type(successor).forward is BatchNorm.forward
        and layer.out_channels == successor.num_features
    )


def fold(layer: Layer, norm: Layer, x: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return weights and bias of `layer` with `norm` folded in.

    With s = gamma / sqrt(var + eps): W s and (b - mean) s + beta. They are recomputed in every call, so they cannot be
    stale. Returns None if they have more elements than the output for `x` (ignoring borders): then a separate batch
    norm is cheaper.
    """
    assert isinstance(layer, Conv2d) and isinstance(norm, BatchNorm)
    outputs = layer.out_channels * len(x) * math.prod(x.shape[2:]) // math.prod(layer.stride)
    weight = layer.weight.data
    if weight.size > outputs:
        return None
    scale = norm.weight.data / np.sqrt(norm.running_var + weight.dtype.type(norm.eps))
    bias = 0 if layer.bias is None else layer.bias.data
    shift = (bias - norm.running_mean) * scale + norm.bias.data
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), shift
