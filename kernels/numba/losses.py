"""Losses over a batch, each with its gradient in the same call.

`sample_weight` (one per row) and `dscores` may be None. With `mean` a loss is divided by the total weight, otherwise it
is the sum. A row whose weight, or class weight, is zero is ignored, whatever its values: its gradient is zero. If all
rows are ignored, the loss is zero, not 0/0 as in PyTorch: a minibatch without weight then adds nothing to a step or to
a sum of losses.
"""

import math

import numpy as np

from .compiled import njit
from .reductions import REORDERED, total
from .special import exp_of_negative, log1p_of_share

#: Passed to the compiled loops for None, so that they compile once per dtype, whatever is absent.
ABSENT = {np.dtype(t): (np.empty(0, t), np.empty((0, 0), t)) for t in (np.float32, np.float64)}


def softmax_cross_entropy(logits, targets, weight, sample_weight, label_smoothing, ignore_index, mean, dlogits):
    """Return the softmax cross-entropy of int64 `targets`; write its gradient to `dlogits`.

    Row i with label t costs (1 - e) w[t] nll[t] + e / C sum_c w[c] nll[c], with e the label smoothing;
    the mean divides by the sum of w[t] over the rows that are not ignored.
    """
    vector, matrix = ABSENT[logits.dtype]
    return _softmax_cross_entropy(
        logits,
        targets,
        vector if weight is None else weight,
        vector if sample_weight is None else sample_weight,
        float(label_smoothing),
        int(ignore_index),
        bool(mean),
        matrix if dlogits is None else dlogits,
    )


def multiclass_hinge(scores, targets, sample_weight, margin, mean, dscores):
    """Return sum_{c != t} max(0, margin + s_c - s_t) over the batch; write its gradient to `dscores`."""
    vector, matrix = ABSENT[scores.dtype]
    return _multiclass_hinge(
        scores,
        targets,
        vector if sample_weight is None else sample_weight,
        float(margin),
        bool(mean),
        matrix if dscores is None else dscores,
    )


def mse(prediction, target, sample_weight, mean, dprediction):
    """Return the mean (or summed) squared error over all elements of 2-D arrays; write its gradient."""
    vector, matrix = ABSENT[prediction.dtype]
    return _mse(
        prediction,
        target,
        vector if sample_weight is None else sample_weight,
        bool(mean),
        matrix if dprediction is None else dprediction,
    )


def bce_with_logits(logits, targets, pos_weight, sample_weight, mean, dlogits):
    """Return the binary cross-entropy of 2-D `targets` in [0, 1] against logits; write its gradient.

    Per element: (1 - t) log(1 + exp(x)) + p t log(1 + exp(-x)), with p the positive class's weight (1 if None).
    """
    vector, matrix = ABSENT[logits.dtype]
    return _bce_with_logits(
        logits,
        targets,
        1.0 if pos_weight is None else float(pos_weight),
        vector if sample_weight is None else sample_weight,
        bool(mean),
        matrix if dlogits is None else dlogits,
    )


@njit(nogil=True, error_model="numpy")
def _softmax_cross_entropy(logits, targets, weight, sample_weight, smoothing, ignore_index, mean, dlogits):
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
                _fill_zeros(dlogits[i])
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
        row_loss = label_weight * (log_normalizer - (row[label] - largest))
        if smoothing != 0:
            for c in range(classes):
                share = everywhere * (weight[c] if weight.size else 1.0)
                row_loss += share * (log_normalizer - (row[c] - largest))
        loss += factor * row_loss
        if dlogits.size:
            gradient, scale = dlogits[i], factor / total_weight
            slope = (sum_of_shares + label_weight) / normalizer
            if weight.size:
                for c in range(classes):
                    gradient[c] = scale * (exponential[c] * slope - everywhere * weight[c])
            else:
                for c in range(classes):
                    gradient[c] = scale * (exponential[c] * slope - everywhere)
            at_label = everywhere * (weight[label] if weight.size else 1.0) + label_weight
            gradient[label] = scale * (exponential[label] * slope - at_label)
    return loss / total_weight if total_weight != 0 else 0.0


@njit(nogil=True, error_model="numpy")
def _total_weight(targets, weight, sample_weight, ignore_index):
    """Return the sum of the weights of the rows that are not ignored, each times its class's."""
    result = 0.0
    for i in range(targets.size):
        if targets[i] != ignore_index:
            factor = sample_weight[i] if sample_weight.size else 1.0
            result += factor * (weight[targets[i]] if weight.size else 1.0)
    return result


@njit(nogil=True, error_model="numpy")
def _divisor(rows, columns, sample_weight, mean):
    """Return the divisor of the loss: 1 if no row has weight."""
    if not mean:
        return 1.0
    weights = (total(sample_weight) if sample_weight.size else rows) * columns
    return weights if weights != 0 else 1.0


@njit(nogil=True)
def _fill_zeros(row):
    for c in range(row.size):
        row[c] = 0.0


@njit(nogil=True, error_model="numpy")
def _multiclass_hinge(scores, targets, sample_weight, margin, mean, dscores):
    rows, classes = scores.shape
    divisor = _divisor(rows, 1, sample_weight, mean)
    excess = np.empty(classes, scores.dtype)
    zero, gap = scores.dtype.type(0), scores.dtype.type(margin)
    loss = 0.0
    for i in range(rows):
        weight = sample_weight[i] if sample_weight.size else 1.0
        if weight == 0:
            if dscores.size:
                _fill_zeros(dscores[i])
            continue
        row, label = scores[i], targets[i]
        own = row[label]
        for c in range(classes):
            difference = (row[c] - own) + gap
            excess[c] = zero if difference < zero else difference
        excess[label] = zero
        loss += weight * total(excess)
        if dscores.size:
            gradient, scale, violations = dscores[i], weight / divisor, 0
            narrow = scores.dtype.type(scale)
            for c in range(classes):
                violated = excess[c] > zero
                gradient[c] = narrow if violated else zero
                violations += 1 if violated else 0
            gradient[label] = -(scale * violations) if violations else zero  # scale may be NaN
    return loss / divisor


@njit(nogil=True, error_model="numpy")
def _mse(prediction, target, sample_weight, mean, dprediction):
    rows, columns = prediction.shape
    divisor = _divisor(rows, columns, sample_weight, mean)
    loss = 0.0
    for i in range(rows):
        weight = sample_weight[i] if sample_weight.size else 1.0
        if weight == 0:
            if dprediction.size:
                _fill_zeros(dprediction[i])
            continue
        p, t = prediction[i], target[i]
        loss += weight * _squared_distance(p, t)
        if dprediction.size:
            gradient, slope = dprediction[i], 2 * weight / divisor
            for j in range(columns):
                gradient[j] = slope * (p[j] - t[j])
    return loss / divisor


@njit(**REORDERED)
def _squared_distance(p, t):
    result = 0.0
    for j in range(p.size):
        difference = np.float64(p[j] - t[j])
        result += difference * difference
    return result


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _bce_with_logits(logits, targets, pos_weight, sample_weight, mean, dlogits):
    rows, columns = logits.shape
    divisor = _divisor(rows, columns, sample_weight, mean)
    f = logits.dtype.type
    zero, one, positive_weight = f(0), f(1), f(pos_weight)
    cost = np.empty(columns, logits.dtype)
    loss = 0.0
    for i in range(rows):
        weight = sample_weight[i] if sample_weight.size else 1.0
        if weight == 0:
            if dlogits.size:
                _fill_zeros(dlogits[i])
            continue
        x, t = logits[i], targets[i]
        for j in range(columns):
            log_term = log1p_of_share(exp_of_negative(-abs(x[j])))
            negative, positive = one - t[j], positive_weight * t[j]
            cost[j] = negative * ((zero if x[j] < zero else x[j]) + log_term)
            cost[j] += positive * ((zero if x[j] > zero else -x[j]) + log_term)
        loss += weight * total(cost)
        if dlogits.size:
            gradient, scale = dlogits[i], weight / divisor
            for j in range(columns):
                small = exp_of_negative(-abs(x[j]))
                negative = (one - t[j]) * (small if x[j] < zero else one)
                positive = positive_weight * t[j] * (one if x[j] < zero else small)
                gradient[j] = scale * ((negative - positive) / (one + small))
    return loss / divisor
