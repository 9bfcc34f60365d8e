"""Rules on the start: inputs, the first loss, the initial weights."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...activations import SATURATING
from ...findings import Severity
from ...target_figures import UNEVEN_TARGETS
from ..input_figures import InputFigures
from ..network_facts import Weights
from ..run_state import RunState
from .base import Detection

#: A target is no noise if it lies this many times as far from the median as half of them do.
FAR_OUT = 300.0
#: Scales are uneven if this share of the features is far smaller than the largest.
MANY_SMALL = 0.25
#: Steps that still reflect the initial weights.
EARLY = 4


def inputs_not_normalised(state: RunState) -> Iterator[Detection]:
    """The scale of the network's inputs (CS231n, Neural Networks Part 2, "Data Preprocessing")."""
    weights, inputs, held_out = state.network.weights, state.data.inputs, state.data.held_out
    if inputs is None:
        return
    layer = weights[0].name if weights else None
    if held_out is not None:
        yield from _unlike(inputs, held_out, state.limits.input_mismatch, layer)
    if not state.network.first_norm:
        yield from _of_other_size(state, inputs, layer)
        yield from _badly_scaled(state, inputs, layer, softened=bool(weights) and weights[0].normalized)


def _of_other_size(state: RunState, inputs: InputFigures, layer: str | None) -> Iterator[Detection]:
    """Inputs of a batch that are far larger than those of the training data, or of the first batch."""
    jump = state.limits.input_jump
    now, usual = math.sqrt(state.window.largest_input), math.sqrt(state.at_start.largest_input)
    if usual > jump * inputs.length > 0:
        ratio = usual / inputs.length
        evidence = f"the first batch's inputs are {ratio:.3g} times as large as those of the training data"
        advice = "look at the augmentation: its noise, its scale"
        yield Detection("input_not_normalised", "error", evidence, advice, layer)
    if now > jump * usual and usual > 0:
        evidence = f"the inputs of a batch were {now / usual:.3g} times as large as those of the first"
        yield Detection("input_not_normalised", "error", evidence, "look for raw or missing values in the data", layer)


def _badly_scaled(state: RunState, inputs: InputFigures, layer: str | None, *, softened: bool) -> Iterator[Detection]:
    """Inputs that are too large, of uneven scales, or too small; `softened` if a normalisation follows the weights."""
    limits = state.limits
    advice = f"standardise {_each(inputs)}"
    uneven = inputs.largest_feature_rms > 100 * max(inputs.median_feature_std, 1e-12)
    large = inputs.rms > limits.large_input or inputs.largest_feature_rms > limits.huge_feature
    if large and (not softened or uneven):
        huge = inputs.rms > limits.huge_input or inputs.largest_feature_rms > limits.huge_feature
        severity: Severity = "error" if huge and not softened else "warning"
        if not (_other_faults(state) if huge and state.learns else huge or _suffers(state)):
            severity = "info"  # without consequences
        yield Detection("input_not_normalised", severity, _scale(inputs), advice, layer)
    elif inputs.small_features > MANY_SMALL and not softened:
        evidence = f"{inputs.small_features:.0%} of the features are below 1% of the largest one at every example"
        yield Detection("input_not_normalised", "warning" if state.falls_short else "info", evidence, advice, layer)
    elif inputs.largest < limits.tiny_input and not softened:
        evidence = f"the largest input is {inputs.largest:.2g}"
        severity = "info" if state.learns else "warning"
        yield Detection("input_not_normalised", severity, evidence, f"{advice}; was it divided twice?", layer)


def _each(inputs: InputFigures) -> str:
    """Return what to standardise, and how."""
    if inputs.images:
        return "each channel with the training images' mean and spread (pynn.preprocessing.ChannelStandardize)"
    return "each feature with the training data's mean and standard deviation (pynn.preprocessing)"


def _unlike(inputs: InputFigures, held_out: InputFigures, maximum: float, layer: str | None) -> Iterator[Detection]:
    """Validation inputs have another scale than the training inputs."""
    if not inputs.rms and not held_out.rms:
        return
    ratio = held_out.rms / inputs.rms if inputs.rms else math.inf
    shift = abs(held_out.mean - inputs.mean) / max(inputs.rms, 1e-12)
    if ratio > maximum or ratio < 1 / maximum or shift > 1.5:
        evidence = (
            f"validation inputs have a root mean square of {held_out.rms:.3g} and a mean of {held_out.mean:.3g}, "
            f"training inputs {inputs.rms:.3g} and {inputs.mean:.3g}"
        )
        mend = "apply to the validation data what was applied to the training data (model.preprocessing does)"
        yield Detection("input_not_normalised", "error", evidence, mend, layer)


def _suffers(state: RunState) -> bool:
    """Return whether the run shows consequences of too large inputs."""
    if state.learns:
        return False
    saturated = any(figures.saturated > 0.3 for figures in state.window.outputs.values())
    high = state.initial_loss > 2 * state.data.zero_loss and state.initial_loss > state.data.zero_loss + 1
    return saturated or high or _other_faults(state)


def _other_faults(state: RunState) -> bool:
    """Return whether there are faults that too large inputs may explain."""
    return bool(state.found.keys() - {"input_not_normalised", "overfitting", "class_imbalance"})


def _scale(inputs: InputFigures) -> str:
    return (
        f"inputs have a root mean square of {inputs.rms:.3g} (1 if standardised), "
        f"the largest feature {inputs.largest_feature_rms:.3g}"
    )


def bad_initial_loss(state: RunState) -> Iterator[Detection]:
    """The first loss compared with that of all-zero outputs (CS231n, Neural Networks Part 3, "Sanity checks")."""
    data, limits = state.data, state.limits
    if not state.fresh or state.age > EARLY * 12:
        return
    if data.summed:
        effective = state.window.lr * data.batch_size / (1 - state.settings.momentum)
        evidence = f"the loss grows with the batch: it is the sum over {data.batch_size} examples, not their mean"
        advice = "use reduction='mean', or divide the learning rate by the batch size"
        harmless = state.settings.adaptive or effective < 2
        yield Detection("bad_initial_loss", "info" if harmless else "warning", evidence, advice)
    zero, first = data.zero_loss, state.initial_loss
    if math.isnan(zero) or zero <= 0 or state.age > EARLY:
        return
    factor = first / zero
    # A random last layer adds its own variance to a squared error, dropout its noise to any.
    slack = (5.0 if not data.classifies else 1.0) * state.network.dropout_noise
    counted = data.batch_size if data.summed else 1
    if factor > limits.high_loss * slack and first - zero > limits.excess_loss * counted:
        evidence = f"the first loss is {first:.4g}, {factor:.2g} times the {zero:.4g} of outputs that are all zero"
        advice = "make the initial outputs small: smaller initial weights in the last layer, or normalised inputs"
        layer = state.network.weights[-1].name if state.network.weights else None
        severity: Severity = "error" if factor > limits.very_high_loss * slack else "warning"
        yield Detection("bad_initial_loss", severity, evidence, advice, layer)


def large_targets(state: RunState) -> Iterator[Detection]:
    """Targets of a regression far from 0 or widely spread; a fault once it makes training fail."""
    data = state.data
    if data.target_unevenness > UNEVEN_TARGETS:
        evidence = f"the targets' standard deviations differ by a factor of {data.target_unevenness:.3g}: the largest "
        evidence += "decides the loss"
        advice = "standardise each target, and undo it in the predictions"
        yield Detection("bad_initial_loss", "warning" if state.settings.squares else "info", evidence, advice)
    elif data.target_outlier > FAR_OUT:
        evidence = f"one target lies {data.target_outlier:.3g} times as far from the median as half of them do"
        advice = "look for codes of missing values among the targets; learn logarithms of amounts that differ so much"
        yield Detection("bad_initial_loss", "warning", evidence, advice)
    if math.isnan(data.target_rms) or not state.fresh or not data.target_rms > 10:
        return
    loss = state.window.last_loss
    failing = not math.isfinite(loss) or (state.age > 1 and loss > 2 * state.initial_loss)
    # Targets far from 0 need more steps: judge only whether the loss falls.
    if failing or (state.stuck(50) and not state.falling(0.1)):
        evidence = f"targets have a root mean square of {data.target_rms:.3g} and a spread of {data.target_std:.3g}"
        advice = "standardise the targets, and undo it in the predictions"
        yield Detection("bad_initial_loss", "warning", evidence, advice)


def bad_initialisation(state: RunState) -> Iterator[Detection]:
    """The spread of signals through the untrained layers (CS231n; He et al. 2015).

    Both must be off in the same direction: the spread of the outputs, and the weights' gain.
    """
    if not state.fresh or not state.network.weights:
        return
    if state.age <= EARLY:
        yield from _too_large(state)
    yield from _too_small(state)


def _too_large(state: RunState) -> Iterator[Detection]:
    gains: dict[str, float] = {}  # gain so far, per residual branch
    for weights in state.network.weights:
        if weights.normalized:
            gains[weights.branch] = 1.0
            continue
        own = state.at_start.gains.get(weights.name, 1.0)
        gain = gains[weights.branch] = gains.get(weights.branch, 1.0) * own
        figures = state.window.outputs.get(weights.output)
        saturated = figures is not None and weights.activation in SATURATING and figures.saturated > 0.5
        blown_up = figures is not None and weights.activation not in SATURATING and figures.std > 10
        if (saturated and own > state.limits.large_gain) or (blown_up and gain > 5):
            assert figures is not None
            shown = f"outputs spread {figures.std:.3g}"
            if saturated:
                shown = f"{figures.saturated:.0%} of its outputs are saturated"
            evidence = (
                f"at the start {shown}; the weights are {own:.3g} times the size that keeps the spread of signals"
            )
            yield Detection("bad_initialisation", "error", evidence, _advice(weights), weights.name)
            return


def _too_small(state: RunState) -> Iterator[Detection]:
    """Signals that vanish after the last hidden layer.

    Residual branches do not count: they may start small, and signals bypass them.
    """
    limits = state.limits
    if state.data.batch_size == 1:  # a single example has no spread
        return
    gain, depth, entry = 1.0, 0, None
    for weights in state.network.hidden:
        own = state.at_start.gains.get(weights.name, 1.0)
        if weights.normalized or own == 0 or weights.branch:
            gain, depth, entry = 1.0, 0, None
            continue
        entry = entry or weights
        gain, depth = gain * own, depth + 1
        spread, start = state.at_start.spread.get(weights.output), _spread_before(state, entry)
        if spread is None or not start or depth < 2:
            continue
        left = spread / start
        if gain < 0.1 and left < limits.nearly_lost_spread and (left < limits.lost_spread or state.stuck(30)):
            evidence = (
                f"after {depth} layers the spread of the signals is {left:.2g} of that of the inputs; the weights of "
                f"{entry.name} are {state.at_start.gains[entry.name]:.2g} times the size that keeps it"
            )
            severity: Severity = "error" if left < limits.lost_spread else "warning"
            severity = "info" if state.learns else severity
            yield Detection("bad_initialisation", severity, evidence, _advice(weights), entry.name)
            return


def _spread_before(state: RunState, weights: Weights) -> float:
    if not weights.source:
        inputs = state.data.inputs
        return min(inputs.rms, 1.0) if inputs is not None else 1.0
    return state.at_start.spread.get(weights.source, 1.0)


def _advice(weights: Weights) -> str:
    rule = "lecun_normal" if weights.activation in SATURATING or weights.activation == "selu" else "he_normal"
    return f'initialise with init="{rule}", or put batch norm after the layer'


RULES = (inputs_not_normalised, bad_initial_loss, large_targets, bad_initialisation)
