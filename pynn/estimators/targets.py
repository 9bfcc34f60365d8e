"""The targets of classifiers: labels and their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from ..training.labels import text_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Labels:
    """The classes of a target, and the numbers that stand for them.

    Attributes
    ----------
    classes : ndarray
        Sorted; with several labels per example, the numbers of their columns.
    multilabel : bool
        Whether an example may have several labels; targets are then rows of 0 and 1.
    """

    def __init__(self, y: Any) -> None:
        kind = type_of_target(y, input_name="y")
        if kind not in ("binary", "multiclass", "multilabel-indicator"):
            kinds = sorted({type(label).__name__ for label in np.asarray(y, dtype=object).flat})
            held = f" ({', '.join(kinds)})" if kind == "unknown" else ""
            raise ValueError(
                f"Unknown label type: {kind}{held}; a classifier expects classes, (n,), or 0 and 1, (n, labels)"
            )
        self.multilabel = kind == "multilabel-indicator"
        self.classes = np.arange(y.shape[1]) if self.multilabel else np.unique(y)

    @classmethod
    def known(cls, estimator: Any, classes: ArrayLike | None, y: Any) -> Labels:
        """Return the labels of `classes`, or those of the first call of `partial_fit`."""
        known: Labels | None = getattr(estimator, "_labels", None)
        if known is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            return cls(y if np.ndim(y) == 2 and np.shape(y)[1] > 1 else np.asarray(classes))
        if classes is not None and not np.array_equal(known.classes, np.unique(np.asarray(classes))):
            raise ValueError(f"classes is {classes!r}; expected those of the first call, {known.classes}")
        return known

    @property
    def count(self) -> int:
        """The number of classes of which an example has one; 0 with several labels per example."""
        return 0 if self.multilabel else len(self.classes)

    @property
    def columns(self) -> int:
        """The number of labels of which an example may have several."""
        return len(self.classes)

    @property
    def names(self) -> list[Any] | None:
        """The classes as a list; None for several labels per example, or for a single class."""
        return self.classes.tolist() if self.count > 1 else None

    def numbers(self, y: Any) -> np.ndarray:
        """Return the number of each label, int64 (n,), or 0 and 1 for each column; the labels must be known."""
        if self.multilabel:
            dense = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
            return (dense != 0).astype(np.int64)
        return np.searchsorted(self.classes, y)

    def predicted(self, outputs: np.ndarray) -> np.ndarray:
        """Return the number of the most probable class for each row of scores, or 0 and 1 for each column."""
        if self.multilabel:
            return (outputs > 0).astype(np.int64)
        if self.count == 1:  # an output that tells it from nothing
            return np.zeros(len(outputs), np.int64)
        return (outputs[:, 0] > 0).astype(np.int64) if outputs.shape[1] == 1 else outputs.argmax(axis=1)

    def labels(self, numbers: np.ndarray) -> np.ndarray:
        """Return the labels of the numbers."""
        return numbers if self.multilabel else self.classes[numbers]

    def check(self, y: Any, *, same: bool) -> None:
        """Raise ValueError if `y` has other classes; with `same`, also if it lacks some."""
        check_classification_targets(y)
        found = unique_labels(y)
        if same and set(found) != set(self.classes):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {self.classes}, `y` has {found}"
            )
        if len(np.setdiff1d(found, self.classes)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes}. 'y' has {found}."
            )


def class_weights(class_weight: Any, y: Any, sample_weight: np.ndarray | None) -> np.ndarray:
    """Return the weight of each example's class; "balanced" gives all classes the same total weight.

    Examples
    --------
    >>> import numpy as np
    >>> class_weights("balanced", np.array(["a", "a", "a", "b"]), None)
    array([0.66666667, 0.66666667, 0.66666667, 2.        ])
    """
    if not isinstance(class_weight, str) or y.ndim == 2:
        each = compute_sample_weight(class_weight, y)
        if not (np.isfinite(each) & (each >= 0)).all():
            raise ValueError(f"class_weight is {class_weight!r}; expected finite weights of at least 0")
        return each
    if class_weight != "balanced":
        raise ValueError(f'class_weight is {class_weight!r}; expected a dict, "balanced" or None')
    _, numbers = np.unique(y, return_inverse=True)
    totals = np.bincount(numbers, sample_weight)
    with np.errstate(divide="ignore"):
        each = totals.sum() / (np.count_nonzero(totals) * totals)
    return np.where(totals[numbers] > 0, each[numbers], 0.0)


def plain_labels(y: Any) -> Any:
    """Return pandas' nullable integers or booleans as an array of their own type; others unchanged.

    Raises ValueError if a label is missing, and TypeError if some are text and others not.
    """
    if not hasattr(y, "nnz"):
        text_labels(y, "the labels y")
    dtype = getattr(getattr(y, "dtype", None), "numpy_dtype", None)
    if dtype is None or not hasattr(y, "isna") or np.dtype(dtype).kind not in "iub":
        return y
    missing = np.asarray(y.isna())
    if missing.any():
        raise ValueError(f"y has a missing label in row {int(missing.argmax())}: remove examples without a label")
    return y.to_numpy(dtype=dtype)


def accuracy(predicted: np.ndarray, numbers: np.ndarray, weights: Any) -> float:
    """Return the share of examples of which all labels are predicted, weighted.

    Examples
    --------
    >>> import numpy as np
    >>> accuracy(np.array([0, 1, 1]), np.array([0, 1, 0]), [1, 1, 2])
    0.5
    """
    right = predicted == numbers
    return float(np.average(right if right.ndim == 1 else right.all(axis=1), weights=weights))
