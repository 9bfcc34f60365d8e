"""What losses do with the rows of a batch: their weights, and gradients of zero."""

from .compiled import njit
from .reductions import total


@njit()
def divisor(rows, sample_weight, per_row):
    """Return the total weight times `per_row`; 1 if that is zero."""
    weights = (total(sample_weight) if sample_weight.size else rows) * per_row
    return weights if weights != 0 else 1.0


@njit()
def fill_zeros(row):
    """Write the gradient of a row that is ignored."""
    for c in range(row.size):
        row[c] = 0.0
