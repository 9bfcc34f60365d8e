"""What losses do with the rows of a batch: weights, weighted sums and gradients."""

import numpy as np


def row_weights(rows, sample_weight, mean, columns):
    """Return the weight of every row, and the divisor of the loss: 1 if no row has weight."""
    weights = np.ones(rows) if sample_weight is None else sample_weight.astype(np.float64)
    return weights, (float(weights.sum()) * columns or 1.0) if mean else 1.0


def weighted_sum(weights, per_row):
    """Return the weighted sum of the rows' losses; those of weight zero may be NaN."""
    return float(np.where(weights != 0, weights * per_row, 0).sum())


def weighted_rows(weights, rows):
    """Return each row times its weight: zeros for a weight of zero, whatever the row holds."""
    return np.where((weights != 0)[:, None], weights[:, None] * rows, 0)
