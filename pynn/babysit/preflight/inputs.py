"""Checks of the inputs as the network gets them: scale, centring, and features that are constant."""

from __future__ import annotations

import math

import numpy as np

from ...nn.context import Context
from ...nn.layers import Flatten
from ...nn.random import Stream
from ...nn.traversal import NORMS, amounts
from ...utils.config import is_own
from ..thresholds import Thresholds
from .case import MULTIPLIES, Case
from .report import Check, failed, noted, passed, skipped, warned
from .walk import chain

NORMALIZE = "Subtract the training part's mean and divide by its standard deviation, as pynn.preprocessing.Standardize."
OF_IMAGES = (
    "Subtract each channel's mean and divide by its standard deviation, as pynn.preprocessing.ChannelStandardize."
)

#: Root mean squares that the monitor's rules call large and huge, one between them that is worth a warning, and what
#: they call tiny.
LARGE, LARGER, HUGE, TINY = Thresholds.large_input, 5.0, Thresholds.huge_input, Thresholds.tiny_input
#: Minimum ratio of a channel's root mean square to the median one for a warning about different scales.
UNEVEN = 30.0
#: Minimum ratio of a feature's standard deviation to another's for a note about different scales.
UNEVEN_FEATURES = 100.0
#: Why inputs have no scale.
CATEGORIES = "all inputs number the categories of an embedding"


def first_inputs(case: Case, x: np.ndarray) -> tuple[np.ndarray, str]:
    """Return the input of pynn's first layer with weights, and that layer's class name.

    Earlier layers, such as a custom one that divides by 255, count as preprocessing. Numbers of categories, which an
    embedding takes, are left out.
    """
    layers = chain(case.model)
    x = amounts((layer for _, layer in layers), x)
    for _, layer in layers:
        kind = type(layer).__name__
        if layer.parameters() and not is_own(layer):
            return x, kind
        if not isinstance(layer, Flatten) and not is_own(layer) and layer is not layers[0][1]:
            return x, kind
        x = layer.forward(x, Context(random=Stream(case.seed)))
    return x, kind


def _sample(case: Case) -> np.ndarray:
    """Return inputs for statistics: up to 2000 examples, and fewer large ones."""
    return case.take(case.rows(min(2000, max(200, 1_000_000 // max(1, math.prod(case.examples.x.shape[1:])))))).x


def input_scale(case: Case) -> Check:
    """Check that the network's inputs are of order one."""
    name = "input scale"
    x, first = first_inputs(case, _sample(case))
    if not x.size:
        return skipped(name, CATEGORIES)
    values = x.astype(np.float64)
    size, largest = rms(values), float(np.abs(values).max())
    evidence = f"rms {size:.3g}, from {values.min():.3g} to {values.max():.3g} as the network gets them"
    symptom, advice, uneven = "input_not_normalised", NORMALIZE, False
    if x.ndim == 4:
        of_channels = np.sqrt(np.square(values).mean(axis=(0, 2, 3)))
        varies = of_channels[of_channels > 0]
        uneven = bool(len(varies)) and float(varies.max()) > UNEVEN * float(np.median(varies))
        shown = ", ".join(f"{each:.3g}" for each in of_channels[:6]) + ", ..." * (len(of_channels) > 6)
        evidence += f"; rms of each channel {shown}" if len(of_channels) > 1 else ""
        advice = OF_IMAGES
    if first.startswith("BatchNorm"):
        return passed(name, f"{evidence}; batch norm comes first")
    kinds = [layer for _, layer in chain(case.model) if type(layer) is not Flatten]
    normalized = any(isinstance(layer, NORMS) for layer in kinds[:3])
    if size > LARGE and sum(isinstance(layer, MULTIPLIES) for _, layer in chain(case.model)) == 1:
        return noted(name, symptom, f"{evidence}; without a hidden layer only the rate has to suit it", advice)
    if size > HUGE and not normalized:
        return failed(name, symptom, evidence, advice)
    if size > LARGER or (uneven and not case.known.trained) or largest < TINY:
        return warned(name, symptom, evidence, advice)
    if size > LARGE:
        return noted(name, symptom, evidence, advice)
    small = _smallest_spread(values)
    if x.ndim == 2 and values.std(axis=0).max() > UNEVEN_FEATURES * small > 0:
        evidence += f"; standard deviations of the features from {small:.2g} to {values.std(axis=0).max():.2g}"
        return noted(name, symptom, f"{evidence}: the small ones hardly count at first", advice)
    return passed(name, evidence)


def _smallest_spread(values: np.ndarray) -> float:
    """Return the least standard deviation of a feature that is no flag, 0 in most examples; 0 without such features."""
    spreads = values.reshape(len(values), -1).std(axis=0)
    dense = (spreads > 0) & (np.mean(values.reshape(len(values), -1) != 0, axis=0) > 0.5)
    return float(spreads[dense].min(initial=np.inf)) if dense.any() else 0.0


def input_centring(case: Case) -> Check:
    """Check that the features vary around zero."""
    name = "input centring"
    x, first = first_inputs(case, _sample(case))
    if not x.size:
        return skipped(name, CATEGORIES)
    values = x.reshape(len(x), -1).astype(np.float64)
    means, spreads = values.mean(axis=0), values.std(axis=0)
    varies = spreads > 1e-6 * np.maximum(np.abs(means), 1e-30)
    if len(values) < 2 or not varies.any():
        return skipped(name, "no feature varies")
    offset = float(np.median(np.abs(means[varies]) / spreads[varies]))
    one_sign = float(np.mean((values >= 0).all(axis=0) | (values <= 0).all(axis=0)))
    evidence = f"features lie {offset:.2g} standard deviations from 0 (median); {one_sign:.0%} have one sign only"
    if offset > 10 and not first.startswith("BatchNorm"):
        return warned(name, "input_not_normalised", evidence, OF_IMAGES if x.ndim == 4 else NORMALIZE)
    return passed(name, evidence)


def constant_features(case: Case) -> Check:
    """Check that features are not constant; some constant ones, such as image margins, are normal."""
    name = "constant features"
    x = case.examples.x
    values = x.reshape(case.size, -1)
    constant = int((np.ptp(values, axis=0) == 0).sum()) if case.size > 1 else 0
    evidence = f"{constant} of {values.shape[1]} features have one value only"
    empty = [c for c in range(x.shape[1]) if np.ptp(x[:, c]) == 0] if x.ndim == 4 and case.size > 1 else []
    if case.size > 1 and constant == values.shape[1]:
        advice = "Check how the features were read: no example differs from another."
        return failed(name, "not_learning", evidence, advice)
    if empty:
        evidence += f"; so has the whole of channel {', '.join(map(str, empty))}"
        return warned(name, None, evidence, "Check how the images were read: an empty channel carries no information.")
    if constant > 0.9 * values.shape[1] and values.shape[1] >= 10 and case.size >= 20:
        return warned(name, None, evidence, "Check how the features were read: hardly any of them carries information.")
    return passed(name, evidence)


def rms(values: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))
