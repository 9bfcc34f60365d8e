"""Rules that compare training with validation examples: whether both follow one relation, and are of one kind."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ...findings import Severity
from ..evaluations import Evaluation
from ..run_state import RunState
from .base import SHORT, Detection
from .evaluation import modes_differ

#: Validation examples below which nothing is said.
MANY_ASKED = 10
#: A score this far above chance is no chance. If less than this share of it is left in validation, another relation
#: holds there.
CLEARLY, HALF = 0.3, 0.5
#: Only worse training data explain a score in validation this much above that in training, and losses this many
#: standard errors apart.
BETTER, CERTAIN = 0.1, 6.0
#: Classes have other shares in validation if this share of the examples would have to change its class for the same
#: ones.
OTHER_SHARES = 0.2
#: Training inputs are noisy if they spread this many times as far as those of validation.
WIDER = 1.15


def not_generalising(state: RunState) -> Iterator[Detection]:
    """The training data is memorised but does not predict the validation data: mismatched targets."""
    data, scores = state.data, state.scores
    if state.is_young(3, 50) or not data.classifies or scores.examples < 100:
        return
    last, chance = state.evaluations[-3:], data.chance
    margin = max(3 * data.chance_error(scores.examples), 0.02)
    if modes_differ(state, 1) or scores.attainable > chance + margin or state.weakly_related:
        return
    if all(e.val_accuracy < chance + margin and e.accuracy > e.val_accuracy + 0.15 for e in last):
        evidence = (
            f"accuracy is {last[-1].accuracy:.1%} in training and {last[-1].val_accuracy:.1%} in validation, "
            f"where always naming the largest class gives {chance:.1%}"
        )
        yield Detection("not_learning", "error", evidence, "check that targets belong to their inputs")


def unlike_validation(state: RunState) -> Iterator[Detection]:
    """Simple learners predict training examples that they have not seen, and the network fits them; not validation."""
    data, scores = state.data, state.scores
    within, nothing = scores.attainable_within, data.chance if data.classifies else 0.0
    lost = nothing + HALF * (within - nothing)
    if _other_shares(state):  # of the classes, which explain another score
        return
    if not within > nothing + CLEARLY or scores.examples < MANY_ASKED or scores.fitted < lost:
        return
    if scores.attainable < lost - scores.sampling_error and scores.reached < lost - scores.sampling_error:
        evidence = (
            f"of training examples that it has not seen, {data.measure} of a simple learner is "
            f"{data.as_score(within)}, of validation examples {data.as_score(scores.attainable)} (the network's "
            f"{data.as_score(scores.reached)}): they do not belong together"
        )
        advice = "read, number and scale inputs and targets of validation as those of training"
        yield Detection("not_learning", "error", evidence, advice)


def worse_than_validation(state: RunState) -> Iterator[Detection]:
    """Validation examples are predicted far better than those of training: these have wrong labels, or noise.

    Both are scored in inference mode and without augmentation, so that neither dropout nor augmentation explains it.
    """
    data, scores, done = state.data, state.scores, state.evaluations
    if state.is_young(3, 60) or scores.examples < MANY_ASKED or _other_shares(state):
        return
    scored = [each for each in done if not math.isnan(each.reached)]
    if not all(_worse(each, BETTER + 2 * scores.sampling_error) for each in scored[-2:]):
        return
    last = done[-1]
    evidence = (
        f"{data.measure} is {data.as_score(last.fitted)} of training examples, and {data.as_score(last.reached)} of "
        "validation examples, which the network has not seen"
    )
    severity: Severity = "warning" if scores.is_behind(SHORT) else "info"
    inputs, held_out = data.inputs, data.held_out
    if inputs is not None and held_out is not None and inputs.median_feature_std > WIDER * held_out.median_feature_std:
        ratio = inputs.median_feature_std / held_out.median_feature_std
        evidence += f"; the training inputs spread {ratio:.2g} times as far"
        advice = "look for noise in the training inputs, and read them as those of validation"
        yield Detection("input_not_normalised", severity, evidence, advice)
    else:
        advice = "check the labels of the training examples: some are wrong"
        yield Detection("not_learning", severity, evidence, advice)


def _worse(done: Evaluation, least: float) -> bool:
    return done.reached > done.fitted + least and -done.apart > CERTAIN


def _other_shares(state: RunState) -> bool:
    """Return whether the classes have other shares in training than in validation."""
    counts, recall = state.data.counts, state.scores.recall
    if counts is None or recall is None or len(counts) != len(recall):
        return False
    here, there = counts / max(counts.sum(), 1), np.array([seen for _, seen in recall], dtype=float)
    return float(np.abs(here - there / max(there.sum(), 1)).sum()) / 2 > OTHER_SHARES


RULES = (not_generalising, unlike_validation, worse_than_validation)
