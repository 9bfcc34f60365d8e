"""The check of targets, and the number of rows whose largest score is at their label."""

import numpy as np

from .compiled import njit


def count_correct(scores, targets, ignore_index):
    """Return the number of rows whose largest score (the first on ties) is at the target; NaN rows do not count."""
    return _count_correct(scores, targets, int(ignore_index))


def share_correct(scores, targets, ignore_index, out):
    """Write to ``out[0]`` the share of the rows that are not ignored whose largest score is at the target."""
    counted = np.count_nonzero(targets != ignore_index)
    out[0] = _count_correct(scores, targets, int(ignore_index)) / counted if counted else np.nan


def first_bad_label(targets, classes, ignore_index):
    """Return the first row whose target is neither `ignore_index` nor in [0, classes), or -1."""
    return _first_bad_label(targets, int(classes), int(ignore_index))


def first_outside(x, largest):
    """Return the first flat index at which `x` is not in [0, largest], or -1."""
    return _first_outside(x.reshape(-1), float(largest))


@njit()
def _count_correct(scores, targets, ignore_index):
    rows, classes = scores.shape
    correct = 0
    for i in range(rows):
        label = targets[i]
        if label == ignore_index or not 0 <= label < classes:
            continue
        own, before, after = scores[i, label], scores[i, :label], scores[i, label + 1 :]
        beaten = 0 if own == own else 1  # by an earlier score at least as large, a later larger one, or a NaN anywhere
        for c in range(before.size):
            beaten += 0 if before[c] < own else 1
        for c in range(after.size):
            beaten += 0 if after[c] <= own else 1
        correct += beaten == 0
    return correct


@njit()
def _first_bad_label(targets, classes, ignore_index):
    for i in range(targets.size):
        if not 0 <= targets[i] < classes and targets[i] != ignore_index:
            return i
    return -1


@njit()
def _first_outside(x, largest):
    for i in range(x.size):
        if not (x[i] >= 0 and x[i] <= largest):
            return i
    return -1
