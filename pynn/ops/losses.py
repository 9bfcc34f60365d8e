"""Losses with their gradients: each call returns both, because training needs both and they share work.

Common to all: `sample_weight` has one entry per row; `reduction` is "mean" (divide by the total weight, as PyTorch
does) or "sum"; a row of weight zero is ignored, whatever its values, and if all rows are ignored, loss and gradient are
zero (PyTorch has 0/0, NaN). The gradient is written to the array passed in, else to a new one; with
``need_gradient=False`` it is not computed, and None is returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import flag, fraction, number
from ._check import apart, fits, floats, labels, output, required

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: PyTorch's default: rows with this label are ignored.
IGNORE_INDEX = -100

#: An ignore_index that no label equals, so that every label must be a class.
NO_IGNORE = -(2**63)

_WHOLE = int, np.integer  # a tuple: `int | np.integer` builds a new type at each call


def _checked_labels(
    targets: ArrayLike, scores: np.ndarray, ignore_index: int, name: str, gradient: np.ndarray | None
) -> np.ndarray:
    """Return the targets of scores (n, classes) as int64; `gradient`, called `name`, must not overlap them."""
    rows, classes = scores.shape
    if classes == 0:
        raise ValueError(f"the scores have shape ({rows}, 0); expected at least one class")
    targets = labels(targets, rows)
    apart({name: gradient}, targets)
    _check_ignored(ignore_index)
    bad = kernels().labels.first_bad_label(targets, classes, ignore_index)
    if bad >= 0:
        raise ValueError(
            f"target {targets[bad]} in row {bad} is not a class: expected 0 to {classes - 1} for {classes} outputs"
        )
    return targets


def _check_ignored(ignore_index: int) -> None:
    if not (isinstance(ignore_index, _WHOLE) and -(2**63) <= ignore_index < 2**63):
        raise ValueError(f"ignore_index is {ignore_index!r}; expected a 64-bit integer, like the labels")


def is_mean(reduction: str) -> bool:
    """Return whether the reduction is "mean" rather than "sum"; raise ValueError for any other."""
    if reduction not in ("mean", "sum"):
        raise ValueError(f'reduction is {reduction!r}; expected "mean" or "sum"')
    return reduction == "mean"


def row_weights(sample_weight: ArrayLike | None, like: np.ndarray) -> np.ndarray | None:
    """Return the weights in the dtype of `like`, one per row, or None."""
    if sample_weight is None:
        return None
    return floats(sample_weight, "sample_weight", like=like, shape=(like.shape[0],))


def gradient_array(
    out: np.ndarray | None, name: str, need: bool, scores: np.ndarray, *others: np.ndarray | None
) -> np.ndarray | None:
    """Return `out`, which must not overlap the other arrays, or a new array; None if no gradient is needed."""
    if not need:
        return None
    gradient = output(out, name, scores.shape, scores.dtype)
    if out is not None:
        apart({name: out}, scores, *others)
    return gradient


def softmax_cross_entropy(
    logits: ArrayLike,
    targets: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    gamma: float = 0.0,
    ignore_index: int = IGNORE_INDEX,
    reduction: str = "mean",
    dlogits: np.ndarray | None = None,
    need_gradient: bool = True,
) -> tuple[float, np.ndarray | None]:
    """Return the cross-entropy -log softmax(logits)[target] and its gradient (softmax - one-hot, scaled).

    Parameters
    ----------
    logits : array_like, shape (n, classes)
    targets : array_like of int, shape (n,)
    weight : array_like, shape (classes,), optional
        Class weights; the mean divides by the sum of the weights of the targets. Rows of a class of weight 0 are
        ignored, even with label smoothing, where PyTorch keeps the share that is spread over the other classes.
    sample_weight : array_like, shape (n,), optional
    label_smoothing : float
        In [0, 1]: this share of the target is spread evenly over all classes.
    gamma : float
        At least 0. The focal loss: -log p of a target of probability p is multiplied by (1 - p)^gamma.
    ignore_index : int
        Rows with this target are ignored.
    reduction : {"mean", "sum"}
    dlogits : ndarray, shape (n, classes), optional
    need_gradient : bool

    Returns
    -------
    loss : float
        0 if all rows are ignored.
    dlogits : ndarray or None

    References
    ----------
    CS231n, Linear Classification, "Softmax classifier"; label smoothing: Szegedy et al. 2016; focal loss: Lin
    et al. 2017.

    Examples
    --------
    >>> import numpy as np
    >>> loss, dlogits = softmax_cross_entropy(np.zeros((1, 4)), np.array([2]))
    >>> round(loss, 4), dlogits
    (1.3863, array([[ 0.25,  0.25, -0.75,  0.25]]))
    """
    need_gradient = flag(need_gradient, "need_gradient")
    if not need_gradient:
        dlogits = None
    dlogits_given = need_gradient == (dlogits is not None)
    if not (dlogits_given and fits("nc,c?,n?->nc?", logits, weight, sample_weight, dlogits)):
        logits = floats(logits, "logits", shape=("n", "classes"))
        if weight is not None:
            weight = floats(weight, "weight", like=logits, shape=(logits.shape[1],))
        sample_weight = row_weights(sample_weight, logits)
        dlogits = gradient_array(dlogits, "dlogits", need_gradient, logits, weight, sample_weight)
    targets = _checked_labels(targets, logits, ignore_index, "dlogits", dlogits)
    loss = kernels().losses.softmax_cross_entropy(
        logits,
        targets,
        weight,
        sample_weight,
        fraction(label_smoothing, "label_smoothing"),
        number(gamma, "gamma", minimum=0),
        ignore_index,
        is_mean(reduction),
        dlogits,
    )
    return loss, dlogits


def nll(
    log_probs: ArrayLike,
    targets: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: int = IGNORE_INDEX,
    reduction: str = "mean",
    dlog_probs: np.ndarray | None = None,
    need_gradient: bool = True,
) -> tuple[float, np.ndarray | None]:
    """Return the negative log-likelihood -log_probs[target], and its gradient.

    The arguments are those of `softmax_cross_entropy`, which this is after a log-softmax. Only the entries of the
    targets are read.

    Examples
    --------
    >>> import numpy as np
    >>> nll(np.log([[0.5, 0.25, 0.25]]), [0])[1]
    array([[-1.,  0.,  0.]])
    """
    need_gradient = flag(need_gradient, "need_gradient")
    log_probs = floats(log_probs, "log_probs", shape=("n", "classes"))
    if weight is not None:
        weight = floats(weight, "weight", like=log_probs, shape=(log_probs.shape[1],))
    sample_weight = row_weights(sample_weight, log_probs)
    gradient = gradient_array(dlog_probs, "dlog_probs", need_gradient, log_probs, weight, sample_weight)
    targets = _checked_labels(targets, log_probs, ignore_index, "dlog_probs", gradient)
    loss = kernels().losses.nll(log_probs, targets, weight, sample_weight, ignore_index, is_mean(reduction), gradient)
    return loss, gradient


def multiclass_hinge(
    scores: ArrayLike,
    targets: ArrayLike,
    *,
    margin: float = 1.0,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    dscores: np.ndarray | None = None,
    need_gradient: bool = True,
) -> tuple[float, np.ndarray | None]:
    """Return the hinge loss sum over c != t of max(0, margin + s_c - s_t), per row, and its gradient.

    The initial loss of C classes is (C - 1) margin. PyTorch's multi-margin loss is this divided by C.

    References
    ----------
    Weston & Watkins 1999; CS231n, Linear Classification, "Multiclass Support Vector Machine loss".

    Examples
    --------
    >>> import numpy as np
    >>> multiclass_hinge(np.array([[3.2, 5.1, -1.7]]), np.array([0]))[0].__round__(4)
    2.9
    """
    need_gradient = flag(need_gradient, "need_gradient")
    scores = floats(scores, "scores", shape=("n", "classes"))
    sample_weight = row_weights(sample_weight, scores)
    gradient = gradient_array(dscores, "dscores", need_gradient, scores, sample_weight)
    targets = _checked_labels(targets, scores, NO_IGNORE, "dscores", gradient)
    loss = kernels().losses.multiclass_hinge(
        scores, targets, sample_weight, number(margin, "margin"), is_mean(reduction), gradient
    )
    return loss, gradient


def count_correct(scores: ArrayLike, targets: ArrayLike, *, ignore_index: int = IGNORE_INDEX) -> int:
    """Return the number of rows whose largest score (the first on ties) is at the target; NaN rows do not count.

    Examples
    --------
    >>> import numpy as np
    >>> count_correct(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    1
    """
    if not fits("nc", scores):
        scores = floats(scores, "scores", shape=("n", "classes"))
    _check_ignored(ignore_index)
    return kernels().labels.count_correct(scores, labels(targets, scores.shape[0]), ignore_index)


def count_labels(targets: np.ndarray, classes: int, ignore_index: int) -> int:
    """Return the number of labels that are not `ignore_index`."""
    targets = labels(targets, len(targets))
    if 0 <= ignore_index < classes or kernels().labels.first_bad_label(targets, classes, NO_IGNORE) >= 0:
        return int(np.count_nonzero(targets != ignore_index))
    return len(targets)  # usually all are classes, and it takes a tenth of the time to see that


def share_correct(scores: ArrayLike, targets: ArrayLike, out: np.ndarray, *, ignore_index: int = IGNORE_INDEX) -> None:
    """Write to `out` (1,), float64, the share of the rows whose largest score is at the target; NaN without rows.

    Examples
    --------
    >>> import numpy as np
    >>> out = np.empty(1)
    >>> share_correct(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]), out)
    >>> out
    array([0.5])
    """
    scores = floats(scores, "scores", shape=("n", "classes"))
    targets = labels(targets, scores.shape[0])
    apart({"out": required(out, "out", (1,), np.dtype(np.float64))}, scores, targets)
    _check_ignored(ignore_index)
    kernels().labels.share_correct(scores, targets, ignore_index, out)
