"""Fusion of a layer with the next one: activations always, batch norm in inference."""

from __future__ import annotations

import itertools
import math

import numpy as np

from .layers import Conv2d, Layer
from .layers.activations import Activation
from .layers.batchnorm import BatchNorm


def foldable(layer: Layer, follower: Layer) -> bool:
    """Return whether the two are a convolution and a batch norm with this package's own forward passes."""
    return (
        isinstance(layer, Conv2d)
        and isinstance(follower, BatchNorm)
        and type(layer).forward is Conv2d.forward
        and type(follower).forward is BatchNorm.forward
        and layer.out_channels == follower.num_features
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


def joined(layers: tuple[Layer, ...]) -> list[Activation | None]:
    """Return for each layer the activation fused into it, for a fused activation itself, and None for the others."""
    found: list[Activation | None] = [None] * len(layers)
    for index, (layer, follower) in enumerate(itertools.pairwise(layers)):
        methods = (layer.forward, layer.backward)
        if not all(getattr(method, "applies_activation", False) for method in methods):
            continue
        own = (type(follower).forward, type(follower).backward)
        if isinstance(follower, Activation) and own == (Activation.forward, Activation.backward):
            found[index] = found[index + 1] = follower
    return found
