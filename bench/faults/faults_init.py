"""Faults in the initial weights."""

# ruff: noqa: D401 - a docstring here describes the run or the data set that is returned.
from __future__ import annotations

import pynn

from . import data
from .cases import BLOWN_UP, STALLED, Corpus, Run
from .networks import gaussian, mlp, scaled, set_hidden_biases

CORPUS = Corpus()
TOO_LARGE = (*BLOWN_UP, "bad_initial_loss", "bad_initialisation", "lr_too_high", "overfitting")
TOO_SMALL = (*STALLED, "lr_too_low", "vanishing_gradient", "bad_initialisation")
# If ReLU's inputs are tiny, the first update of the biases moves them past zero for all examples: after one step, 45 to
# 58% of the last layer's units are dead.
TOO_SMALL_RELU = (*TOO_SMALL, "dead_units")
SAME = ("bad_initialisation", "vanishing_gradient", "dead_units", *STALLED)


@CORPUS.fault("digits", "bad_initialisation", "saturated_units", also=TOO_LARGE, visible_before=True)
def unit_normal_tanh(seed: int, sick: bool) -> Run:
    """N(0, 1) weights in tanh layers: nearly all units saturate."""
    model = mlp(seed, (64, 100, 100, 100, 10), pynn.Tanh, gaussian(1.0) if sick else "lecun_normal")
    return Run.of(data.digits(seed), model, pynn.SGD(0.05), seed, 12)


@CORPUS.fault("mnist", "bad_initialisation", "bad_initial_loss", also=TOO_LARGE, visible_before=True)
def unit_normal_relu(seed: int, sick: bool) -> Run:
    """N(0, 1) weights in ReLU layers: scores in the thousands."""
    model = mlp(seed, (784, 100, 100, 10), init=gaussian(1.0) if sick else "he_normal")
    return Run.of(data.mnist(seed), model, pynn.Adam(1e-3), seed, 4)


@CORPUS.fault("digits", "bad_initialisation", "bad_initial_loss", also=TOO_LARGE, visible_before=True)
def he_gain_5(seed: int, sick: bool) -> Run:
    """He's weights five times too large in five layers."""
    model = mlp(seed, (64, 64, 64, 64, 64, 10), init=scaled("he_normal", 5.0 if sick else 1.0))
    return Run.of(data.digits(seed), model, pynn.SGD(0.02, momentum=0.9), seed, 10)


@CORPUS.fault("digits", "bad_initialisation", "vanishing_gradient", also=TOO_SMALL, visible_before=True)
def small_normal_deep_tanh(seed: int, sick: bool) -> Run:
    """The lecture's 0.01 N(0, 1) in ten tanh layers: activations shrink to nothing."""
    model = mlp(seed, (64, *[100] * 10, 10), pynn.Tanh, gaussian(0.01) if sick else "lecun_normal")
    return Run.of(data.digits(seed), model, pynn.SGD(0.05, momentum=0.9), seed, 12)


@CORPUS.fault("digits", "bad_initialisation", "vanishing_gradient", also=TOO_SMALL_RELU, visible_before=True)
def he_gain_tenth(seed: int, sick: bool) -> Run:
    """He's weights ten times too small in six layers."""
    model = mlp(seed, (64, *[64] * 6, 10), init=scaled("he_normal", 0.1 if sick else 1.0))
    return Run.of(data.digits(seed), model, pynn.SGD(0.02, momentum=0.9), seed, 10)


@CORPUS.fault("mnist", "bad_initialisation", "vanishing_gradient", also=TOO_SMALL_RELU, visible_before=True)
def xavier_in_thirty_relu_layers(seed: int, sick: bool) -> Run:
    """The lecture's Xavier in thirty ReLU layers: the mean square halves at each."""
    model = mlp(seed, (784, *[64] * 30, 10), init="lecun_normal" if sick else "he_normal")
    return Run.of(data.mnist(seed), model, pynn.Adam(5e-4), seed, 6)


@CORPUS.fault("digits", "symmetric_units", also=SAME, visible_before=True)
def all_zero(seed: int, sick: bool) -> Run:
    """All weights start at zero."""
    model = mlp(seed, (64, 64, 64, 10), init="zeros" if sick else "he_normal")
    return Run.of(data.digits(seed), model, pynn.SGD(0.1), seed, 10)


@CORPUS.fault("digits", "symmetric_units", also=SAME, visible_before=True)
def all_constant(seed: int, sick: bool) -> Run:
    """All weights of the hidden layers start at 0.05."""
    model = mlp(seed, (64, 64, 64, 10), pynn.Tanh, (lambda shape: pynn.init.constant(shape, 0.05)) if sick else None)
    return Run.of(data.digits(seed), model, pynn.Adam(1e-3), seed, 10)


@CORPUS.fault("mnist", "symmetric_units", also=SAME, visible_before=True)
def zero_sigmoid(seed: int, sick: bool) -> Run:
    """All weights of a sigmoid network start at zero, so that its units stay alike."""
    model = mlp(seed, (784, 64, 10), pynn.Sigmoid, "zeros" if sick else "xavier_normal")
    return Run.of(data.mnist(seed), model, pynn.SGD(0.3), seed, 4)


@CORPUS.fault("digits", "bad_initial_loss", "bad_initialisation", also=TOO_LARGE, visible_before=True)
def last_layer_large(seed: int, sick: bool) -> Run:
    """The last layer's weights start at N(0, 5^2), those of the others correctly."""
    model = mlp(seed, (64, 64, 64, 10), last_init=gaussian(5.0) if sick else "he_normal")
    return Run.of(data.digits(seed), model, pynn.SGD(0.01, momentum=0.9), seed, 8)


@CORPUS.fault(
    "digits",
    "dead_units",
    also=("vanishing_gradient", "bad_initialisation", "lr_too_low", *STALLED),
    visible_before=True,
)
def bias_minus_ten(seed: int, sick: bool) -> Run:
    """The biases of ReLU layers start at -10: no unit is ever active."""
    model = mlp(seed, (64, 64, 64, 10))
    if sick:
        set_hidden_biases(model, -10)
    return Run.of(data.digits(seed), model, pynn.SGD(0.1), seed, 8)


@CORPUS.fault("moons", "saturated_units", "bad_initialisation", also=(*TOO_LARGE, *TOO_SMALL), visible_before=True)
def bias_plus_ten_sigmoid(seed: int, sick: bool) -> Run:
    """The biases of sigmoid layers start at 10: all units are full on."""
    model = mlp(seed, (2, 32, 32, 1), pynn.Sigmoid, "xavier_normal")
    if sick:
        set_hidden_biases(model, 10)
    split = data.moons(seed)
    return Run.of(split, model, pynn.Adam(0.01), seed, 20, 32, loss=pynn.BCEWithLogitsLoss())
