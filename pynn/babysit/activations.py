"""What the babysitter knows of activations: which ones saturate or rectify, the weights that suit them, their range."""

from __future__ import annotations

import math

from ..kernels.codes import ActivationCode
from ..nn.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    Hardtanh,
    Identity,
    Layer,
    Linear,
    PixelShuffle,
    PixelUnshuffle,
    Residual,
    Unflatten,
    Upsample,
    ZeroPad2d,
)
from ..nn.layers.activations import Activation

#: Linear layers, and layers that add no non-linearity.
STRAIGHT = Linear | Conv2d | ConvTranspose2d | AvgPool2d | AdaptiveAvgPool2d | Upsample | BatchNorm | Dropout
STRAIGHT |= Flatten | Unflatten | Identity | ZeroPad2d | PixelShuffle | PixelUnshuffle | Residual | Concat

#: Activations with two limits, near which they have almost no gradient.
SATURATING = ("tanh", "sigmoid")
SATURATING_CODES = tuple(ActivationCode[name.upper()] for name in SATURATING)
#: Activations that are (almost) zero for negative inputs.
RELU_LIKE = (
    ActivationCode.RELU,
    ActivationCode.RELU6,
    ActivationCode.GELU,
    ActivationCode.GELU_TANH,
    ActivationCode.SILU,
    ActivationCode.MISH,
    ActivationCode.HARDSWISH,
)
#: Gain on 1 / sqrt(fan_in) that preserves the variance of signals through a layer followed by this activation (He et
#: al. 2015 for rectifiers). Sigmoids always shrink it; 1 is the usual recommendation.
IDEAL_GAIN = dict.fromkeys(("relu", "relu6", "leaky_relu"), math.sqrt(2)) | dict.fromkeys(("elu", "celu"), 1.25)
IDEAL_GAIN |= dict.fromkeys(("gelu", "gelu_tanh", "mish"), 1.5) | dict.fromkeys(("silu", "hardswish"), 1.7)
#: Bounds of the outputs.
RANGES = {
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, math.inf),
    "logsigmoid": (-math.inf, 0.0),
}


def range_of(layer: Layer) -> tuple[float, float]:
    """Return the bounds of a layer's outputs: infinite unless it is an activation of pynn's.

    Examples
    --------
    >>> import pynn
    >>> range_of(pynn.Hardtanh(-2, 2)), range_of(pynn.Linear(1, 1))
    ((-2.0, 2.0), (-inf, inf))
    """
    if isinstance(layer, Hardtanh):
        return layer.min_val, layer.max_val
    return RANGES.get(layer.spec()[0] if isinstance(layer, Activation) else "", (-math.inf, math.inf))
