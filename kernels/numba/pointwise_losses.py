"""Losses of elements, of predictions and targets of the same shape, each with its gradient in the same call.

As in `losses`: `sample_weight` (one per row) and the gradient may be None, and rows of weight zero are ignored.
"""

import math

import numpy as np

from ..codes import LossCode
from .absent import or_empty
from .compiled import FMA, REORDERED, njit
from .loss_rows import divisor, fill_zeros
from .reductions import total
from .special import exp_of_negative, log1p_of_share


def mse(prediction, target, sample_weight, mean, dprediction):
    """Return the mean (or summed) squared error over all elements of 2-D arrays; write its gradient."""
    return _mse(
        prediction,
        target,
        or_empty(sample_weight, prediction.dtype),
        bool(mean),
        or_empty(dprediction, prediction.dtype, 2),
    )


def bce_with_logits(logits, targets, pos_weight, sample_weight, mean, dlogits):
    """Return the binary cross-entropy of 2-D `targets` in [0, 1] against logits; write its gradient.

    Per element: (1 - t) log(1 + exp(x)) + p t log(1 + exp(-x)), with p the positive class's weight (1 if None).
    """
    return _bce_with_logits(
        logits,
        targets,
        1.0 if pos_weight is None else float(pos_weight),
        or_empty(sample_weight, logits.dtype),
        bool(mean),
        or_empty(dlogits, logits.dtype, 2),
    )


def pointwise_loss(prediction, target, code, parameters, sample_weight, per_row, dprediction):
    """Return the sum of a loss over all elements of 2-D arrays, weighted; write its gradient to `dprediction`.

    `code` is a `LossCode`, `parameters` its float64 parameter: one (1,), or one for each column. The sum is divided by
    the total weight times `per_row`, unless `per_row` is zero. All arithmetic is in float64.
    """
    return _pointwise_loss(
        prediction,
        target,
        int(code),
        parameters,
        or_empty(sample_weight, prediction.dtype),
        int(per_row),
        or_empty(dprediction, prediction.dtype, 2),
    )


@njit()
def _mse(prediction, target, sample_weight, mean, dprediction):
    rows, columns = prediction.shape
    total_weight = divisor(rows, sample_weight, columns if mean else 0)
    loss = 0.0
    for i in range(rows):
        weight = sample_weight[i] if sample_weight.size else 1.0
        if weight == 0:
            if dprediction.size:
                fill_zeros(dprediction[i])
            continue
        p, t = prediction[i], target[i]
        loss += weight * _squared_distance(p, t)
        if dprediction.size:
            gradient, slope = dprediction[i], 2 * weight / total_weight
            for j in range(columns):
                gradient[j] = slope * (p[j] - t[j])
    return loss / total_weight


@njit(fastmath=REORDERED)
def _squared_distance(p, t):
    result = 0.0
    for j in range(p.size):
        difference = np.float64(p[j] - t[j])
        result += difference * difference
    return result


@njit(fastmath=FMA)
def _bce_with_logits(logits, targets, pos_weight, sample_weight, mean, dlogits):
    rows, columns = logits.shape
    total_weight = divisor(rows, sample_weight, columns if mean else 0)
    f = logits.dtype.type
    zero, one, positive_weight = f(0), f(1), f(pos_weight)
    cost = np.empty(columns, logits.dtype)
    loss = 0.0
    for i in range(rows):
        weight = sample_weight[i] if sample_weight.size else 1.0
        if weight == 0:
            if dlogits.size:
                fill_zeros(dlogits[i])
            continue
        x, t = logits[i], targets[i]
        for j in range(columns):
            log_term = log1p_of_share(exp_of_negative(-abs(x[j])))
            negative, positive = one - t[j], positive_weight * t[j]
            cost[j] = negative * ((zero if x[j] < zero else x[j]) + log_term)
            cost[j] += positive * ((zero if x[j] > zero else -x[j]) + log_term)
        loss += weight * total(cost)
        if dlogits.size:
            gradient, scale = dlogits[i], weight / total_weight
            for j in range(columns):
                small = exp_of_negative(-abs(x[j]))
                negative = (one - t[j]) * (small if x[j] < zero else one)
                positive = positive_weight * t[j] * (one if x[j] < zero else small)
                gradient[j] = scale * ((negative - positive) / (one + small))
    return loss / total_weight


@njit()
def _pointwise_loss(prediction, target, code, parameters, sample_weight, per_row, dprediction):
    rows, columns = prediction.shape
    total_weight = divisor(rows, sample_weight, per_row)
    loss = 0.0
    for i in range(rows):
        weight = np.float64(sample_weight[i] if sample_weight.size else 1.0)
        if weight == 0:
            if dprediction.size:
                fill_zeros(dprediction[i])
            continue
        row_loss, scale = 0.0, weight / total_weight
        for j in range(columns):
            parameter = parameters[j if parameters.size > 1 else 0]
            cost, slope = _cost(code, np.float64(prediction[i, j]), np.float64(target[i, j]), parameter)
            row_loss += cost
            if dprediction.size:
                dprediction[i, j] = scale * slope
        loss += weight * row_loss
    return loss / total_weight


#: Of the codes, for the compiled functions.
SMOOTH_L1, HUBER, QUANTILE, POISSON_LOG, POISSON, POISSON_LOG_FULL, POISSON_FULL, KL, KL_LOG = map(int, LossCode)


@njit()
def _cost(code, x, t, parameter):
    """Return the loss of an element and its derivative by the prediction x."""
    if code <= HUBER:
        return _rounded(x - t, parameter, 1.0 if code == SMOOTH_L1 else parameter)
    if code == QUANTILE:
        d = x - t
        rate = 1 - parameter if d > 0 else -parameter
        return rate * d, rate if d > 0 or d < 0 else d
    if code >= KL:
        return _divergence(x, t if code == KL else math.exp(t), math.log(t) if code == KL else t)
    constant = 0.0
    if code >= POISSON_LOG_FULL and t > 1:
        constant = t * math.log(t) - t + math.log(2 * math.pi * t) / 2
    if code in (POISSON_LOG, POISSON_LOG_FULL):
        rate = math.exp(x)
        return rate - t * x + constant, rate - t
    return x - t * math.log(x + parameter) + constant, 1 - t / (x + parameter)


@njit()
def _rounded(d, width, slope):
    """Return |d| with a parabola for a tip of this half width, times slope; and the derivative."""
    size = abs(d)
    if size < width:
        return d * (d / width) / 2 * slope, d / width * slope
    return slope * (size - width / 2), slope * np.sign(d)


@njit()
def _divergence(x, p, log_p):
    cost = 0.0 if p == 0 else p * log_p
    if p != 0 or x != -np.inf:
        cost -= p * x
    return cost, -p + (x if x != x else 0.0)
