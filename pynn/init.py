"""Weight initialisation: the initialisers, and functions that apply them to a whole model.

Sources: CS231n, Training Neural Networks, Part 1; Mishkin & Matas 2016 (LSUV); `pynn.nn.initializers` names the others.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .nn.context import Context
from .nn.initializers import (
    INITIALIZERS,
    Fans,
    Init,
    Shape,
    constant,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    make,
    normal,
    orthogonal,
    torch_linear,
    uniform,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from .nn.layers import Embedding, Layer, Residual
from .nn.sequential import Sequential

if TYPE_CHECKING:
    from .nn.parameters import Parameter

__all__ = [
    "INITIALIZERS",
    "Fans",
    "Init",
    "Shape",
    "apply",
    "constant",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "lsuv",
    "make",
    "normal",
    "orthogonal",
    "torch_linear",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


def apply(model: Sequential, init: Init, *, bias: float | None = 0.0, rng: np.random.Generator | None = None) -> None:
    """Reinitialise all weights and biases of a model, except in frozen layers.

    Parameters
    ----------
    model : Sequential
    init : str or callable
        A name in `INITIALIZERS`, or a function of the shape.
    bias : float or None
        Initial value of the biases of these layers (some use 0.01 with ReLU against dead units); None leaves them.
    rng : numpy.random.Generator, optional

    Examples
    --------
    >>> import pynn
    >>> model = pynn.Sequential(pynn.Linear(3, 4), pynn.ReLU(), pynn.Linear(4, 2))
    >>> pynn.init.apply(model, "he_normal", bias=0.01)
    >>> model[0].bias[...]
    array([0.01, 0.01, 0.01, 0.01], dtype=float32)
    """
    for layer in model.all_layers():
        weight, layer_bias = _weight_and_bias(layer)
        if weight is None:
            continue
        weight[...] = make(init, weight.shape, fans=weight.fans, dtype=weight.dtype, rng=rng)
        if bias is not None and layer_bias is not None:
            layer_bias[...] = bias


def lsuv(
    model: Sequential,
    x: np.ndarray,
    *,
    tolerance: float = 0.01,
    max_iter: int = 10,
    rng: np.random.Generator | None = None,
) -> dict[str, float]:
    """Scale each layer to unit output variance on a batch, from orthogonal weights (Mishkin & Matas 2016).

    Parameters
    ----------
    model : Sequential
    x : array_like
        One batch of inputs; a few hundred examples suffice.
    tolerance : float
        A layer is done when the variance of its output is within this distance of 1.
    max_iter : int
        Maximum number of rescalings per layer.
    rng : numpy.random.Generator, optional

    Returns
    -------
    dict
        The variance reached, by the layer's name.

    Raises
    ------
    ValueError
        If a layer's output is constant on this batch, so that no scale makes its variance 1.

    Examples
    --------
    >>> import numpy as np, pynn
    >>> model = pynn.Sequential(pynn.Linear(20, 50), pynn.Tanh(), pynn.Linear(50, 5))
    >>> variances = pynn.init.lsuv(model, np.random.default_rng(0).normal(size=(256, 20)))
    >>> all(abs(v - 1) < 0.02 for v in variances.values())
    True
    """
    reached: dict[str, float] = {}

    def scale(name: str, layer: Layer, x: np.ndarray) -> np.ndarray:
        """Scale a layer and its inner layers, and return its output."""
        if isinstance(layer, Sequential):
            for key, inner in layer.children():
                x = scale(f"{name}.{key}" if name else key, inner, x)
            return x
        if isinstance(layer, Residual):
            for key, inner in layer.children():
                scale(f"{name}.{key}", inner, x)
        weight, bias = _weight_and_bias(layer)
        if weight is not None:
            weight[...] = make("orthogonal", weight.shape, dtype=weight.dtype, rng=rng)
            if bias is not None:
                bias[...] = 0
            reached[name] = _to_unit_variance(layer, weight, name, x, tolerance, max_iter)
        return _output(layer, x)

    scale("", model, model.as_input(x))
    return reached


def _to_unit_variance(
    layer: Layer, weight: Parameter, name: str, x: np.ndarray, tolerance: float, max_iter: int
) -> float:
    """Scale the weights until the output has variance 1; return the variance reached."""
    for _ in range(max_iter):
        variance = _variance(layer, x)
        if not 0 < variance < math.inf:
            raise ValueError(f"the output of layer {name} has variance {variance} on this batch")
        if abs(variance - 1) < tolerance:
            break
        weight[...] = weight.data / math.sqrt(variance)
    return _variance(layer, x)


def _weight_and_bias(layer: Layer) -> tuple[Parameter | None, Parameter | None]:
    """Return the layer's weight matrix and its bias, or (None, None) if it has no unfrozen weight matrix."""
    if isinstance(layer, Embedding):
        return None, None
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    return (weight, bias) if weight is not None and weight.decay and not weight.frozen else (None, None)


def _output(layer: Layer, x: np.ndarray) -> np.ndarray:
    # In inference mode: no dropout, and running statistics are not updated.
    return layer.forward(x, Context())


def _variance(layer: Layer, x: np.ndarray) -> float:
    return float(np.var(_output(layer, x), dtype=np.float64))
