"""Split examples into a training and a test part."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..utils.arrays import as_array, is_absent
from ..utils.validation import flag, seeded


def train_test_split(
    x: ArrayLike,
    y: ArrayLike,
    test_fraction: float = 0.2,
    seed: int | np.random.Generator = 0,
    stratify: bool = True,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Split examples at random into a training and a test part.

    The test part has round(test_fraction * N) examples, at least one. With stratification each class has its
    proportional share of it, up to rounding, and keeps at least one example for training.

    Parameters
    ----------
    x : array_like of shape (N, ...)
        Examples. Pass row numbers, `np.arange(N)`, to get the split itself, as `Table.fit_fill` needs it.
    y : array_like of shape (N, ...)
        Targets.
    test_fraction : float, default 0.2
        Fraction of test examples, between 0 and 1, both excluded.
    seed : int or numpy.random.Generator, default 0
        Seed or generator of the random numbers.
    stratify : bool, default True
        Split each class separately. Has no effect unless `y` contains classes: integers, booleans, text, or objects of
        these types, in one dimension or one column.

    Returns
    -------
    x_train, x_test, y_train, y_test : ndarray
        Copies with the dtypes of `x` and `y`, rows in random order.

    Raises
    ------
    TypeError
        If `x` or `y` is a sparse matrix, or an object in `y` cannot be a label.
    ValueError
        If `x` and `y` differ in length, `test_fraction` is not between 0 and 1, there are too few examples for both
        parts, or a label is missing (None, NaN, masked).

    Examples
    --------
    >>> import numpy as np
    >>> from pynn.datasets import train_test_split
    >>> y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> x_train, x_test, y_train, y_test = train_test_split(np.arange(8), y, test_fraction=0.25)
    >>> y_train.shape, np.bincount(y_test)
    ((6,), array([1, 1]))
    """
    x, y = as_array(x, "x"), as_array(y, "y")
    if not x.ndim or not y.ndim or len(x) != len(y):
        raise ValueError(f"x has shape {x.shape} and y has shape {y.shape}; expected the same number of rows")
    if not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction is {test_fraction!r}; expected a number between 0 and 1")
    if len(x) < 2:
        raise ValueError(f"x has {len(x)} rows; expected at least 2, one for each part")
    rng = seeded(seed)
    n_test = min(max(1, round(test_fraction * len(x))), len(x) - 1)
    labels = _labels(y) if flag(stratify, "stratify") else None
    test = rng.permutation(len(x))[:n_test] if labels is None else _stratified(labels, n_test, rng)
    in_train = np.ones(len(x), bool)
    in_train[test] = False
    train = rng.permutation(np.flatnonzero(in_train))
    return x[train], x[test], y[train], y[test]


def _labels(y: NDArray[Any]) -> NDArray[Any] | None:
    """Return the class of each row as a sortable value, or None if `y` does not contain classes."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        return None
    if y.dtype.kind != "O":
        return y if y.dtype.kind in "iubUST" else None
    numbers: dict[Any, int] = {}
    fractions = False
    for row, label in enumerate(y):
        if is_absent(label):
            raise ValueError(f"y has no label in row {row} ({label!r}); add one or remove the row")
        fractions = fractions or (isinstance(label, float | np.floating) and not float(label).is_integer())
        try:
            numbers.setdefault(label, len(numbers))
        except TypeError as error:
            raise TypeError(f"y has {label!r} in row {row}; expected a number or text as label") from error
    return None if fractions else np.array([numbers[label] for label in y])


def _stratified(y: NDArray[Any], n_test: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Choose n_test rows: each class's share rounded down, then the rest by largest remainder."""
    classes, class_of_row, counts = np.unique(y, return_inverse=True, return_counts=True)
    if n_test > len(y) - len(classes):
        raise ValueError(
            f"{n_test} of {len(y)} examples for testing leave too few for training: y has {len(classes)} classes, and "
            "each needs one; choose a smaller test_fraction or stratify=False"
        )
    exact = counts * (n_test / len(y))
    taken = np.minimum(np.floor(exact).astype(int), counts - 1)
    while (missing := n_test - int(taken.sum())) > 0:
        # Add one from each class with examples to spare, largest remainder first.
        lacking = np.where(taken < counts - 1, exact - taken, -np.inf)
        taken[np.argsort(-lacking, kind="stable")[: min(missing, int((lacking > -np.inf).sum()))]] += 1
    rows = rng.permutation(len(y))
    chosen = [rows[class_of_row[rows] == label][:count] for label, count in enumerate(taken)]
    return rng.permutation(np.concatenate(chosen))
