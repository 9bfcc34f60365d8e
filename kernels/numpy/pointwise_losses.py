"""Losses of elements, of predictions and targets of the same shape, each with its gradient in the same call.

As in `losses`: `sample_weight` (one per row) and the gradient may be None, and rows of weight zero are ignored.
"""

import numpy as np

from ..codes import LossCode
from .loss_rows import row_weights, weighted_rows, weighted_sum
from .quiet import quiet


@quiet
def mse(prediction, target, sample_weight, mean, dprediction):
    """Return the mean (or summed) squared error over all elements of 2-D arrays; write its gradient."""
    difference = prediction - target
    weights, total = row_weights(prediction.shape[0], sample_weight, mean, prediction.shape[1])
    if dprediction is not None:
        dprediction[...] = weighted_rows(2 * weights / total, difference)
    return weighted_sum(weights, np.square(difference, dtype=np.float64).sum(axis=1)) / total


@quiet
def bce_with_logits(logits, targets, pos_weight, sample_weight, mean, dlogits):
    """Return the binary cross-entropy of 2-D `targets` in [0, 1] against logits; write its gradient.

    Per element: (1 - t) log(1 + exp(x)) + p t log(1 + exp(-x)), with p the positive class's weight (1 if None).
    """
    weights, total = row_weights(logits.shape[0], sample_weight, mean, logits.shape[1])
    negative = 1 - targets
    positive = targets if pos_weight is None else pos_weight * targets
    small = np.exp(-np.abs(logits))
    log_term = np.log1p(small)
    per_element = negative * (np.maximum(logits, 0) + log_term) + positive * (np.maximum(-logits, 0) + log_term)
    per_row = per_element.sum(axis=1, dtype=np.float64)
    if dlogits is not None:
        slope = (negative * np.where(logits < 0, small, 1) - positive * np.where(logits < 0, 1, small)) / (1 + small)
        dlogits[...] = weighted_rows(weights / total, slope)
    return weighted_sum(weights, per_row) / total


@quiet
def pointwise_loss(prediction, target, code, parameters, sample_weight, per_row, dprediction):
    """Return the sum of a loss over all elements of 2-D arrays, weighted; write its gradient to `dprediction`.

    `code` is a `LossCode`, `parameters` its float64 parameter: one (1,), or one for each column. The sum is divided by
    the total weight times `per_row`, unless `per_row` is zero. All arithmetic is in float64.
    """
    cost, slope = FORMULAS[code](prediction.astype(np.float64), target.astype(np.float64), parameters)
    weights, total = row_weights(prediction.shape[0], sample_weight, per_row != 0, per_row)
    if dprediction is not None:
        dprediction[...] = weighted_rows(weights / total, slope)
    return weighted_sum(weights, cost.sum(axis=1)) / total


def _smooth_l1(x, t, beta):
    d = x - t
    small = np.abs(d) < beta
    return np.where(small, d * (d / beta) / 2, np.abs(d) - beta / 2), np.where(small, d / beta, np.sign(d))


def _huber(x, t, delta):
    d = x - t
    small = np.abs(d) < delta
    return np.where(small, d * d / 2, delta * (np.abs(d) - delta / 2)), np.where(small, d, delta * np.sign(d))


def _quantile(x, t, q):
    d = x - t
    rate = np.where(d > 0, 1 - q, -q)
    return rate * d, np.where(d == 0, 0, rate + 0 * d)


def _poisson_log(x, t, _):
    return np.exp(x) - t * x, np.exp(x) - t


def _poisson(x, t, eps):
    return x - t * np.log(x + eps), 1 - t / (x + eps)


def _full(formula):
    """Return the formula with Stirling's approximation of log t! added, for t > 1."""

    def with_constant(x, t, parameter):
        cost, slope = formula(x, t, parameter)
        return cost + np.where(t > 1, t * np.log(t) - t + np.log(2 * np.pi * t) / 2, 0), slope

    return with_constant


def _kl(x, t, _):
    return _divergence(x, t, np.log(t))


def _kl_log(x, t, _):
    return _divergence(x, np.exp(t), t)


def _divergence(x, p, log_p):
    cross = np.where((p == 0) & (x == -np.inf), 0, p * x)
    return np.where(p == 0, 0, p * log_p) - cross, -p + 0 * np.where(np.isnan(x), x, 0)


FORMULAS = {
    LossCode.SMOOTH_L1: _smooth_l1,
    LossCode.HUBER: _huber,
    LossCode.QUANTILE: _quantile,
    LossCode.POISSON_LOG: _poisson_log,
    LossCode.POISSON: _poisson,
    LossCode.POISSON_LOG_FULL: _full(_poisson_log),
    LossCode.POISSON_FULL: _full(_poisson),
    LossCode.KL: _kl,
    LossCode.KL_LOG: _kl_log,
}
