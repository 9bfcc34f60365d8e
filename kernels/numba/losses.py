"""Losses over a batch, each with its gradient in the same call.

`sample_weight` (one per row) and `dscores` may be None. With `mean` a loss is divided by the total weight, otherwise it
is the sum. A row whose weight, or class weight, is zero is ignored, whatever its values: its gradient is zero. If all
rows are ignored, the loss is zero, not 0/0 as in PyTorch: a minibatch without weight then adds nothing to a step or to
a sum of losses.
"""

import math

import numpy as np

from .absent import or_empty
from .compiled import njit
from .loss_rows import divisor, fill_zeros
from .reductions import total
from .special import exp_of_negative


def softmax_cross_entropy(logits, targets, weight, sample_weight, label_smoothing, gamma, ignore_index, mean, dlogits):
    """Return the softmax cross-entropy of int64 `targets`; write its gradient to `dlogits`.

    Row i with label t costs (1 - e) w[t] nll[t] + e / C sum_c w[c] nll[c], with e the label smoothing;
    the mean divides by the sum of w[t] over the rows that are not ignored. With p the probability of t, the first term
    is multiplied by (1 - p)^gamma, as in the focal loss.
    """
    return _softmax_cross_entropy(
        logits,
        targets,
        or_empty(weight, logits.dtype),
        or_empty(sample_weight, logits.dtype),
        float(label_smoothing),
        float(gamma),
        int(ignore_index),
        bool(mean),
        or_empty(dlogits, logits.dtype, 2),
    )


def nll(log_probs, targets, weight, sample_weight, ignore_index, mean, dlog_probs):
    """Return minus the weighted sum, or mean, of the log-probabilities of the targets; write its gradient.

    The mean divides by the sum of the class weights w[t] over the rows that are not ignored.
    """
    return _nll(
        log_probs,
        targets,
        or_empty(weight, log_probs.dtype),
        or_empty(sample_weight, log_probs.dtype),
        int(ignore_index),
        bool(mean),
        or_empty(dlog_probs, log_probs.dtype, 2),
    )


def multiclass_hinge(scores, targets, sample_weight, margin, mean, dscores):
    """Return sum_{c != t} max(0, margin + s_c - s_t) over the batch; write its gradient to `dscores`."""
    return _multiclass_hinge(
        scores,
        targets,
        or_empty(sample_weight, scores.dtype),
        float(margin),
        bool(mean),
        or_empty(dscores, scores.dtype, 2),
    )


@njit()
def _softmax_cross_entropy(logits, targets, weight, sample_weight, smoothing, gamma, ignore_index, mean, dlogits):
    rows, classes = logits.shape
    total_weight = _total_weight(targets, weight, sample_weight, ignore_index) if mean else 1.0
    everywhere = smoothing / classes  # share of every class in the target
    sum_of_shares = everywhere * (total(weight) if weight.size else classes)
    exponential = np.empty(classes, logits.dtype)
    loss = 0.0
    for i in range(rows):
        label = targets[i]
        factor = (sample_weight[i] if sample_weight.size else 1.0) if label != ignore_index else 0.0
        if factor == 0 or total_weight == 0 or (weight.size and weight[label] == 0):
            if dlogits.size:
                fill_zeros(dlogits[i])
            continue
        row = logits[i]
        largest = logits.dtype.type(-np.inf)
        for c in range(classes):
            largest = row[c] if row[c] > largest else largest
        for c in range(classes):
            exponential[c] = exp_of_negative(row[c] - largest)
        normalizer = total(exponential)
        log_normalizer = math.log(normalizer)
        label_weight = (1 - smoothing) * (weight[label] if weight.size else 1.0)
        nll = np.float64(log_normalizer - (row[label] - largest))
        row_loss = label_weight * nll
        if gamma != 0:
            focus, slope_of_focus = _focus(nll, gamma)
            row_loss *= focus
            label_weight *= slope_of_focus
        if smoothing != 0:
            for c in range(classes):
                share = everywhere * (weight[c] if weight.size else 1.0)
                row_loss += share * (log_normalizer - (row[c] - largest))
        loss += factor * row_loss
        if dlogits.size:
            slope = (sum_of_shares + label_weight) / normalizer
            scale = factor / total_weight
            _softmax_gradient(exponential, label, slope, scale, everywhere, weight, label_weight, dlogits[i])
    return loss / total_weight if total_weight != 0 else 0.0


@njit(inline="always")
def _softmax_gradient(exponential, label, slope, scale, everywhere, weight, label_weight, gradient):
    """Write scale * (exponential * slope - target) of a row; its target is a share everywhere, plus one at `label`."""
    if weight.size:
        for c in range(exponential.size):
            gradient[c] = scale * (exponential[c] * slope - everywhere * weight[c])
    else:
        for c in range(exponential.size):
            gradient[c] = scale * (exponential[c] * slope - everywhere)
    at_label = everywhere * (weight[label] if weight.size else 1.0) + label_weight
    gradient[label] = scale * (exponential[label] * slope - at_label)


@njit()
def _total_weight(targets, weight, sample_weight, ignore_index):
    """Return the sum of the weights of the rows that are not ignored, each times its class's."""
    result = 0.0
    for i in range(targets.size):
        if targets[i] != ignore_index:
            factor = sample_weight[i] if sample_weight.size else 1.0
            result += factor * (weight[targets[i]] if weight.size else 1.0)
    return result


@njit()
def _focus(nll, gamma):
    """Return (1 - p)^gamma, and the derivative of (1 - p)^gamma nll by nll = -log p."""
    focus = (-math.expm1(-nll)) ** gamma
    clipped = min(max(nll, 1e-300), 700.0)  # p nll / (1 - p) = nll / expm1(nll) is 1 at 0, and 0 at infinity
    return focus, focus * (1 + gamma * clipped / math.expm1(clipped))


@njit()
def _nll(log_probs, targets, weight, sample_weight, ignore_index, mean, dlog_probs):
    rows = log_probs.shape[0]
    total_weight = _total_weight(targets, weight, sample_weight, ignore_index) if mean else 1.0
    total_weight = total_weight if total_weight != 0 else 1.0
    loss = 0.0
    for i in range(rows):
        if dlog_probs.size:
            fill_zeros(dlog_probs[i])
        label = targets[i]
        if label == ignore_index:
            continue
        factor = (sample_weight[i] if sample_weight.size else 1.0) * (weight[label] if weight.size else 1.0)
        if factor == 0:
            continue
        loss -= factor * log_probs[i, label]
        if dlog_probs.size:
            dlog_probs[i, label] = -factor / total_weight
    return loss / total_weight


@njit()
def _multiclass_hinge(scores, targets, sample_weight, margin, mean, dscores):
    rows, classes = scores.shape
    total_weight = divisor(rows, sample_weight, 1.0 if mean else 0.0)
    excess = np.empty(classes, scores.dtype)
    zero, gap = scores.dtype.type(0), scores.dtype.type(margin)
    loss = 0.0
    for i in range(rows):
        weight = sample_weight[i] if sample_weight.size else 1.0
        if weight == 0:
            if dscores.size:
                fill_zeros(dscores[i])
            continue
        row, label = scores[i], targets[i]
        own = row[label]
        for c in range(classes):
            difference = (row[c] - own) + gap
            excess[c] = zero if difference < zero else difference
        excess[label] = zero
        loss += weight * total(excess)
        if dscores.size:
            gradient, scale, violations = dscores[i], weight / total_weight, 0
            narrow = scores.dtype.type(scale)
            for c in range(classes):
                violated = excess[c] > zero
                gradient[c] = narrow if violated else zero
                violations += 1 if violated else 0
            gradient[label] = -(scale * violations) if violations else zero  # scale may be NaN
    return loss / total_weight
