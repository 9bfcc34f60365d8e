"""The check of targets, and the number of rows whose largest score is at their label."""

import numpy as np

from .quiet import quiet


@quiet
def count_correct(scores, targets, ignore_index):
    """Return the number of rows whose largest score (the first on ties) is at the target; NaN rows do not count."""
    if scores.size == 0:
        return 0
    known = (targets != ignore_index) & ~np.isnan(scores).any(axis=1)
    return int(((scores.argmax(axis=1) == targets) & known).sum())


@quiet
def share_correct(scores, targets, ignore_index, out):
    """Write to ``out[0]`` the share of the rows that are not ignored whose largest score is at the target."""
    counted = np.count_nonzero(targets != ignore_index)
    out[0] = count_correct(scores, targets, ignore_index) / counted if counted else np.nan


@quiet
def first_bad_label(targets, classes, ignore_index):
    """Return the first row whose target is neither `ignore_index` nor in [0, classes), or -1."""
    bad = ((targets < 0) | (targets >= classes)) & (targets != ignore_index)
    return int(bad.argmax()) if bad.any() else -1


def first_outside(x, largest):
    """Return the first flat index at which `x` is not in [0, largest], or -1."""
    bad = ~((x >= 0) & (x <= largest))
    return int(bad.argmax()) if bad.any() else -1
