"""Selection and order of the remedies for each symptom."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ...nn.layers import Dropout, ReLU, Sigmoid, Softmax, Tanh
from . import network, outputs, settings
from .blueprint import Blueprint
from .judge import Kind, is_uneven
from .trials import Remedy

#: Target ratio of update norm to weight norm in the first step, maximum over the layers. At suitable rates, 12 networks
#: of the corpus had 0.004 to 0.37, with a median of 0.03.
GOOD_RATIO = 0.02
#: Minimum factor by which the ratio must miss the target before a rate is derived from it.
OFF = 5.0


@dataclass
class Situation:
    """Input of the selection.

    Attributes
    ----------
    blueprint : Blueprint
    x, y : ndarray
        Raw training data.
    kind : {"classes", "binary", "values"}
    counts : ndarray or None
        Examples per class.
    ratio : float
        Update norm over weight norm in the first step of the run; NaN if unknown.
    """

    blueprint: Blueprint
    x: np.ndarray
    y: np.ndarray
    kind: Kind
    counts: np.ndarray | None
    ratio: float

    def times(self, *factors: float) -> Iterator[Remedy]:
        """Yield the learning rate times each factor."""
        return settings.times(self.blueprint, *factors)

    def fitted_rate(self) -> Iterator[Remedy]:
        """Yield the rate whose first step changes the weights by the usual share of their norm."""
        factor = GOOD_RATIO / self.ratio if self.ratio > 0 else math.nan
        if math.isfinite(factor) and (factor > OFF or factor < 1 / OFF):
            yield from self.times(factor)

    def standardize(self) -> Iterator[Remedy]:
        """Yield standardised inputs."""
        return settings.standardize(self.blueprint, self.x)

    def targets(self) -> Iterator[Remedy]:
        """Yield standardised targets, for regression."""
        if self.kind == "values":
            yield from settings.standardize_targets(self.blueprint, self.y)


Source = Callable[[Situation], Iterable[Remedy]]


def _of(change: Callable[[Blueprint], Iterable[Remedy]]) -> Source:
    return lambda situation: change(situation.blueprint)


def _rates(*factors: float) -> Source:
    return lambda situation: situation.times(*factors)


STANDARDIZE: Source = Situation.standardize
TARGETS: Source = Situation.targets
FITTED_RATE: Source = Situation.fitted_rate
OUTPUTS: Source = lambda s: outputs.outputs(s.blueprint, s.kind)  # noqa: E731 - one of a list of such
USUAL_LOSS: Source = lambda s: outputs.usual_loss(s.blueprint, s.kind)  # noqa: E731
WEIGHTS: Source = lambda s: settings.class_weights(s.blueprint, s.counts)  # noqa: E731
NO_SOFTMAX: Source = lambda s: network.activations(s.blueprint, Softmax, ReLU)  # noqa: E731
TO_TANH: Source = lambda s: network.activations(s.blueprint, Sigmoid, Tanh)  # noqa: E731
RELU_TO_TANH: Source = lambda s: network.activations(s.blueprint, ReLU, Tanh)  # noqa: E731
LARGER_BATCH: Source = lambda s: settings.larger_batch(s.blueprint, 32)  # noqa: E731
SMALLER_BATCH: Source = lambda s: settings.smaller_batch(s.blueprint, len(s.x), 32)  # noqa: E731
LESS_MOMENTUM: Source = lambda s: settings.momentum(s.blueprint, 0.9)  # noqa: E731
NO_MOMENTUM: Source = lambda s: settings.momentum(s.blueprint, 0.0)  # noqa: E731
INITIALIZE = _of(network.initialized)
NORM = _of(network.normalized)
RECTIFY = _of(network.rectified)
LEAKY = _of(network.leaky)
SMALLER_OWN = _of(network.own_weights_smaller)
OWN_LAYERS = _of(network.without_own)
KNOWN_OPTIMIZER = _of(settings.known_optimizer)
NO_AUGMENTATION = _of(settings.no_augmentation)
CONSTANT_RATE = _of(settings.constant_rate)
NO_CALLBACKS = _of(settings.no_callbacks)
MEAN_LOSS = _of(settings.mean_loss)
CLIP = _of(settings.clip_norm)
ADAM = _of(settings.adam)
SHUFFLE = _of(settings.shuffled)
LESS_REGULARIZATION = _of(settings.less_regularization)
FLAT = (RECTIFY, NORM, INITIALIZE)

#: Remedies for each symptom, likeliest first.
CURES: dict[str, tuple[Source, ...]] = {
    "input_not_normalised": (STANDARDIZE, NORM),
    "symmetric_units": (INITIALIZE,),
    "bad_initialisation": (INITIALIZE, SMALLER_OWN, NORM),
    "saturated_units": (INITIALIZE, STANDARDIZE, NORM, RECTIFY),
    "bad_initial_loss": (MEAN_LOSS, USUAL_LOSS, TARGETS, INITIALIZE, SMALLER_OWN, STANDARDIZE, _rates(0.1, 0.01)),
    "regularisation_too_strong": (LESS_REGULARIZATION,),
    "lr_too_high": (CONSTANT_RATE, _rates(0.1, 0.3), FITTED_RATE, LESS_MOMENTUM, _rates(0.01)),
    "vanishing_gradient": (*FLAT, TO_TANH, _rates(10)),
    "exploding_gradient": (SMALLER_OWN, TARGETS, STANDARDIZE, INITIALIZE, CLIP, _rates(0.1, 0.01), NORM),
    "dead_units": (INITIALIZE, LEAKY, _rates(0.1), NORM, RELU_TO_TANH),
    "diverging": (KNOWN_OPTIMIZER, CONSTANT_RATE, _rates(0.1, 0.3, 0.01), CLIP, USUAL_LOSS, OWN_LAYERS, TARGETS),
    "non_finite": (USUAL_LOSS, OWN_LAYERS, KNOWN_OPTIMIZER, _rates(0.1, 0.01), CLIP),
    "batchnorm_mismatch": (_of(network.norm_momentum), OWN_LAYERS, NO_CALLBACKS, LARGER_BATCH),
    "lr_too_low": (CONSTANT_RATE, FITTED_RATE, _rates(10, 100), ADAM, SMALLER_BATCH),
    "not_learning": (
        STANDARDIZE,
        INITIALIZE,
        OWN_LAYERS,
        KNOWN_OPTIMIZER,
        NO_AUGMENTATION,
        _rates(10, 0.1),
        NORM,
        RECTIFY,
    ),
    "class_imbalance": (WEIGHTS, SHUFFLE, _rates(3)),
    "oscillating": (SHUFFLE, LESS_MOMENTUM, NO_MOMENTUM, _rates(0.3, 0.1), LARGER_BATCH),
    "plateau": (CONSTANT_RATE, NO_CALLBACKS, FITTED_RATE, _rates(10)),
    "overfitting": (_of(settings.more_regularization), _of(network.more_dropout)),
    "underfitting": (
        NO_AUGMENTATION,
        SMALLER_BATCH,
        _of(network.nonlinear),
        _of(network.wider),
        _of(network.deeper),
        _rates(3, 0.3),
        ADAM,
    ),
    "zigzag": (TO_TANH, RECTIFY, NORM),
}
#: Symptoms for which a higher, or a lower, rate is not tried.
TOO_FAST = ("lr_too_high", "diverging", "exploding_gradient", "non_finite")
TOO_SLOW = ("lr_too_low",)
#: Maximum weight decay and dropout that do not count as strong regularisation.
USUAL_DECAY, USUAL_DROPOUT = 0.01, 0.5


def anyway(situation: Situation, symptoms: Iterable[str]) -> Iterator[Source]:
    """Yield the remedies tried last for any finding."""
    found = set(symptoms)
    yield from (KNOWN_OPTIMIZER, OWN_LAYERS, NO_AUGMENTATION)  # what only this program has is suspect
    if is_uneven(situation.counts):
        yield WEIGHTS
    yield from (STANDARDIZE, INITIALIZE, NORM, FITTED_RATE)
    if found.isdisjoint(TOO_SLOW):
        yield _rates(0.3, 0.1)
    if found.isdisjoint(TOO_FAST):
        yield _rates(3, 10)
    if is_strongly_regularized(situation.blueprint):
        yield LESS_REGULARIZATION
    yield from (SHUFFLE, CONSTANT_RATE, OUTPUTS)


def is_strongly_regularized(blueprint: Blueprint) -> bool:
    """Return whether there is a penalty, or unusually high weight decay or dropout."""
    dropped = max((layer.p for layer in blueprint.all_layers() if isinstance(layer, Dropout)), default=0.0)
    return bool(blueprint.regularizers) or blueprint.optimizer.weight_decay > USUAL_DECAY or dropped > USUAL_DROPOUT


def candidates(situation: Situation, symptoms: Iterable[str], *, misfit: bool) -> list[Remedy]:
    """Return the remedies to try, without duplicates: those of each symptom, then general ones.

    `misfit` says that output, loss and targets do not belong together, and brings the remedies for that first.
    """
    symptoms = list(symptoms)
    cures = cures_of(situation, symptoms, misfit=misfit)
    rest = (remedy for source in anyway(situation, symptoms) for remedy in source(situation))
    return list(dict.fromkeys([*cures, *rest]))


def cures_of(situation: Situation, symptoms: Iterable[str], *, misfit: bool = False) -> list[Remedy]:
    """Return the remedies for these symptoms, without duplicates; first what no network wants, if it is there."""
    sources: list[Source] = [OUTPUTS, NO_SOFTMAX] if misfit else [NO_SOFTMAX]
    for symptom in dict.fromkeys(symptoms):
        sources += CURES[symptom]
    return list(dict.fromkeys(remedy for source in sources for remedy in source(situation)))
