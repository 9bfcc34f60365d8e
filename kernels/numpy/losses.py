"""Losses over a batch, each with its gradient in the same call.

`sample_weight` (one per row) and `dscores` may be None. With `mean` a loss is divided by the total weight, otherwise it
is the sum. A row whose weight, or class weight, is zero is ignored, whatever its values: its gradient is zero. If all
rows are ignored, the loss is zero, not 0/0 as in PyTorch: a minibatch without weight then adds nothing to a step or to
a sum of losses.
"""

import numpy as np

from .loss_rows import row_weights, weighted_sum
from .quiet import quiet


@quiet
def softmax_cross_entropy(logits, targets, weight, sample_weight, label_smoothing, gamma, ignore_index, mean, dlogits):
    """Return the softmax cross-entropy of int64 `targets`; write its gradient to `dlogits`.

    Row i with label t costs (1 - e) w[t] nll[t] + e / C sum_c w[c] nll[c], with e the label smoothing;
    the mean divides by the sum of w[t] over the rows that are not ignored. With p the probability of t, the first term
    is multiplied by (1 - p)^gamma, as in the focal loss.
    """
    rows, classes = logits.shape
    labels = np.where(targets == ignore_index, 0, targets)
    factor = (targets != ignore_index).astype(np.float64)
    if sample_weight is not None:
        factor *= sample_weight
    class_weight = np.ones(classes) if weight is None else weight.astype(np.float64)
    total = (factor * class_weight[labels]).sum() if mean else 1.0
    kept = (factor * class_weight[labels] != 0) & (total != 0)
    at_label = np.arange(rows), labels
    of_label = (1 - label_smoothing) * class_weight[labels]

    shifted = logits - logits.max(axis=1, keepdims=True, initial=-np.inf)
    exponential = np.exp(shifted)
    normalizer = exponential.sum(axis=1, keepdims=True)
    negative_log_likelihood = np.log(normalizer) - shifted
    focus, slope = _focus(negative_log_likelihood[at_label].astype(np.float64), gamma)
    per_row = focus * of_label * negative_log_likelihood[at_label]
    smooth = np.full((rows, classes), label_smoothing / classes) * class_weight
    if label_smoothing != 0:  # else these shares are zero, and their nll may be infinite
        per_row = np.where(of_label == 0, 0, per_row) + (smooth * negative_log_likelihood).sum(axis=1)
    loss = np.where(kept, factor * per_row, 0).sum(dtype=np.float64)
    if dlogits is not None:
        scale = (factor / (total or 1.0))[:, None]
        probability = exponential / normalizer
        share = smooth
        share[at_label] += slope * of_label
        dlogits[...] = np.where(kept[:, None], scale * (probability * share.sum(axis=1, keepdims=True) - share), 0)
    return float(loss / (total or 1.0))


def _focus(nll, gamma):
    """Return (1 - p)^gamma, and the derivative of (1 - p)^gamma nll by nll = -log p."""
    if gamma == 0:
        return 1.0, 1.0
    focus = (-np.expm1(-nll)) ** gamma
    clipped = np.clip(nll, 1e-300, 700)  # p nll / (1 - p) = nll / expm1(nll) is 1 at 0, and 0 at infinity
    return focus, focus * (1 + gamma * clipped / np.expm1(clipped))


@quiet
def nll(log_probs, targets, weight, sample_weight, ignore_index, mean, dlog_probs):
    """Return minus the weighted sum, or mean, of the log-probabilities of the targets; write its gradient.

    The mean divides by the sum of the class weights w[t] over the rows that are not ignored.
    """
    rows = np.arange(log_probs.shape[0])
    labels = np.where(targets == ignore_index, 0, targets)
    factor = (targets != ignore_index).astype(np.float64)
    if weight is not None:
        factor *= weight[labels]
    if sample_weight is not None:
        factor *= sample_weight
    total = (factor.sum() if mean else 1.0) or 1.0
    if dlog_probs is not None:
        dlog_probs[...] = 0
        dlog_probs[rows, labels] = -factor / total
    return -weighted_sum(factor, log_probs[rows, labels].astype(np.float64)) / total


@quiet
def multiclass_hinge(scores, targets, sample_weight, margin, mean, dscores):
    """Return sum_{c != t} max(0, margin + s_c - s_t) over the batch; write its gradient to `dscores`."""
    rows = np.arange(scores.shape[0])
    excess = scores - scores[rows, targets][:, None] + margin
    excess[rows, targets] = 0
    weights, total = row_weights(scores.shape[0], sample_weight, mean, 1)
    if dscores is not None:
        violated = np.where(excess > 0, (weights / total)[:, None], 0)
        violated[rows, targets] = -violated.sum(axis=1)
        dscores[...] = violated
    return weighted_sum(weights, np.maximum(excess, 0).sum(axis=1, dtype=np.float64)) / total
