"""Losses over a batch, each with its gradient in the same call.

`sample_weight` (one per row) and `dscores` may be None. With `mean` a loss is divided by the total weight, otherwise it
is the sum. A row whose weight, or class weight, is zero is ignored, whatever its values: its gradient is zero. If all
rows are ignored, the loss is zero, not 0/0 as in PyTorch: a minibatch without weight then adds nothing to a step or to
a sum of losses.
"""

import numpy as np

from .quiet import quiet


@quiet
def softmax_cross_entropy(logits, targets, weight, sample_weight, label_smoothing, ignore_index, mean, dlogits):
    """Return the softmax cross-entropy of int64 `targets`; write its gradient to `dlogits`.

    Row i with label t costs (1 - e) w[t] nll[t] + e / C sum_c w[c] nll[c], with e the label smoothing;
    the mean divides by the sum of w[t] over the rows that are not ignored.
    """
    rows, classes = logits.shape
    labels = np.where(targets == ignore_index, 0, targets)
    factor = (targets != ignore_index).astype(np.float64)
    if sample_weight is not None:
        factor *= sample_weight
    class_weight = np.ones(classes) if weight is None else weight.astype(np.float64)
    total = (factor * class_weight[labels]).sum() if mean else 1.0
    kept = (factor * class_weight[labels] != 0) & (total != 0)
    share = np.full((rows, classes), label_smoothing / classes) * class_weight  # weight of each nll, per row
    share[np.arange(rows), labels] += (1 - label_smoothing) * class_weight[labels]

    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    exponential = np.exp(shifted)
    normalizer = exponential.sum(axis=1, keepdims=True)
    negative_log_likelihood = np.log(normalizer) - shifted
    if label_smoothing == 0:  # the other shares are zero, and their nll may be infinite
        per_row = class_weight[labels] * negative_log_likelihood[np.arange(rows), labels]
    else:
        per_row = (share * negative_log_likelihood).sum(axis=1)
    loss = np.where(kept, factor * per_row, 0).sum(dtype=np.float64)
    if dlogits is not None:
        scale = (factor / (total or 1.0))[:, None]
        probability = exponential / normalizer
        dlogits[...] = np.where(kept[:, None], scale * (probability * share.sum(axis=1, keepdims=True) - share), 0)
    return float(loss / (total or 1.0))


@quiet
def multiclass_hinge(scores, targets, sample_weight, margin, mean, dscores):
    """Return sum_{c != t} max(0, margin + s_c - s_t) over the batch; write its gradient to `dscores`."""
    rows = np.arange(scores.shape[0])
    excess = scores - scores[rows, targets][:, None] + margin
    excess[rows, targets] = 0
    weights, total = _row_weights(scores.shape[0], sample_weight, mean, 1)
    if dscores is not None:
        violated = np.where(excess > 0, (weights / total)[:, None], 0)
        violated[rows, targets] = -violated.sum(axis=1)
        dscores[...] = violated
    return _weighted_sum(weights, np.maximum(excess, 0).sum(axis=1, dtype=np.float64)) / total


@quiet
def mse(prediction, target, sample_weight, mean, dprediction):
    """Return the mean (or summed) squared error over all elements of 2-D arrays; write its gradient."""
    difference = prediction - target
    weights, total = _row_weights(prediction.shape[0], sample_weight, mean, prediction.shape[1])
    if dprediction is not None:
        dprediction[...] = _weighted_rows(2 * weights / total, difference)
    return _weighted_sum(weights, np.square(difference, dtype=np.float64).sum(axis=1)) / total


@quiet
def bce_with_logits(logits, targets, pos_weight, sample_weight, mean, dlogits):
    """Return the binary cross-entropy of 2-D `targets` in [0, 1] against logits; write its gradient.

    Per element: (1 - t) log(1 + exp(x)) + p t log(1 + exp(-x)), with p the positive class's weight (1 if None).
    """
    weights, total = _row_weights(logits.shape[0], sample_weight, mean, logits.shape[1])
    negative = 1 - targets
    positive = targets if pos_weight is None else pos_weight * targets
    small = np.exp(-np.abs(logits))
    log_term = np.log1p(small)
    per_element = negative * (np.maximum(logits, 0) + log_term) + positive * (np.maximum(-logits, 0) + log_term)
    per_row = per_element.sum(axis=1, dtype=np.float64)
    if dlogits is not None:
        slope = (negative * np.where(logits < 0, small, 1) - positive * np.where(logits < 0, 1, small)) / (1 + small)
        dlogits[...] = _weighted_rows(weights / total, slope)
    return _weighted_sum(weights, per_row) / total


def _row_weights(rows, sample_weight, mean, columns):
    """Return the weight of every row, and the divisor of the loss: 1 if no row has weight."""
    weights = np.ones(rows) if sample_weight is None else sample_weight.astype(np.float64)
    return weights, (weights.sum() * columns or 1.0) if mean else 1.0


def _weighted_sum(weights, per_row):
    return float(np.where(weights != 0, weights * per_row, 0).sum())


def _weighted_rows(weights, rows):
    return np.where((weights != 0)[:, None], weights[:, None] * rows, 0)
