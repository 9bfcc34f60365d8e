"""Columns of a data frame as numbers: categories, missing values, and scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.sparsefuncs import mean_variance_axis

from ..preprocessing import Standardize
from ..utils.arrays import is_absent

#: Types of columns that "from_dtype" takes for categories, in the notation of pandas and of polars.
CATEGORIES = ("category", "object", "str", "string", "bool", "boolean", "Categorical", "Enum", "String", "Boolean")
#: A column with more categories than this becomes numbers of rows in a table of learnt vectors, of this length, where
#: the network has one (the choice of Holzmüller et al., RealMLP, 2024).
MOST_INDICATORS, VECTOR = 9, 8


class Columns:
    """How the columns of a table become numbers.

    Each category becomes a column that is 1 where it occurs; with `embed`, more than `MOST_INDICATORS` become one
    column, of whole numbers from 1. Categories that `fit` has not seen are 0 in all columns of theirs; a missing value
    is a category if there was one in `fit`. Missing numbers become the mean of the others.

    Parameters
    ----------
    categorical : "from_dtype" or sequence
        Indices or names of the columns that are categories, or a mask of all columns.
    weights : ndarray, shape (n,), or None
        Of the means; what has no weight makes no category.
    X : data frame or ndarray
        The columns are named and typed after it, and their categories and means are learnt from it.
    embed : bool

    Attributes
    ----------
    is_number : ndarray of bool
        Which columns of the result are numbers.
    cardinalities : list of int
        For each column of the result 0, or how many whole numbers there are, 0 included.
    """

    def __init__(self, categorical: Any, X: Any, weights: np.ndarray | None, *, embed: bool = False) -> None:
        chosen = _chosen(categorical, X)
        counts = np.ones(X.shape[0]) if weights is None else weights
        self._categories: list[list[Any] | None] = []
        self._means: list[float] = []
        for place in range(X.shape[1]):
            if place in chosen:
                values = {value for value, count in zip(_values(X, place), counts, strict=True) if count}
                self._categories.append(sorted(values, key=lambda value: (value is None, str(value))))
                self._means.append(0.0)
            else:
                self._categories.append(None)
                self._means.append(_mean(_numbers(X, place), weights))
        sizes = [0 if categories is None else len(categories) for categories in self._categories]
        self._embedded = [embed and size > MOST_INDICATORS for size in sizes]
        widths = [
            1 if categories is None or embedded else size
            for categories, embedded, size in zip(self._categories, self._embedded, sizes, strict=True)
        ]
        self._starts = np.cumsum([0, *widths])
        self.is_number = np.repeat([categories is None for categories in self._categories], widths)
        numbers = [size + 1 if embedded else 0 for size, embedded in zip(sizes, self._embedded, strict=True)]
        self.cardinalities: list[int] = np.repeat(numbers, widths).tolist()

    def transform(self, X: Any) -> np.ndarray:
        """Return the numbers, float64 (n, columns)."""
        out = np.zeros((X.shape[0], self._starts[-1]))
        for place, categories in enumerate(self._categories):
            start = self._starts[place]
            if categories is None:
                numbers = _numbers(X, place)
                out[:, start] = np.where(np.isnan(numbers), self._means[place], numbers)
            else:
                places = {category: index for index, category in enumerate(categories)}
                found = np.array([places.get(value, -1) for value in _values(X, place)], dtype=np.int64)
                rows = np.flatnonzero(found >= 0)
                if self._embedded[place]:
                    out[rows, start] = found[rows] + 1
                else:
                    out[rows, start + found[rows]] = 1.0
        return out


class Scaling:
    """Standardises columns: (x - mean) / standard deviation; a constant column is only centred.

    Parameters
    ----------
    x : ndarray or CSR matrix
        Training data.
    weights : ndarray, shape (n,), or None
    is_number : ndarray of bool or None
        Columns to standardise; None for all.
    """

    def __init__(self, x: Any, weights: np.ndarray | None, is_number: np.ndarray | None) -> None:
        if hasattr(x, "toarray"):
            mean, variance = mean_variance_axis(x, axis=0, weights=weights)
        else:
            mean = np.average(x, axis=0, weights=weights)
            variance = np.average((x - mean) ** 2, axis=0, weights=weights)
        deviation = np.sqrt(variance)
        # The deviation of equal values is rounding error.
        constant = deviation <= 10 * np.finfo(x.dtype).eps * np.abs(mean)
        deviation[constant] = 1.0
        if is_number is not None:
            mean[~is_number], deviation[~is_number] = 0.0, 1.0
        self.mean, self.deviation = mean.astype(x.dtype), deviation.astype(x.dtype)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return rows standardised."""
        return (x - self.mean) / self.deviation

    def transformer(self) -> Standardize:
        """Return a transformer that computes the same."""
        mean, deviation = (array.astype(np.float64) for array in (self.mean, self.deviation))
        return Standardize().load_state({"n_samples_seen": np.array(1), "mean": mean, "m2": deviation**2})


def is_frame(X: Any) -> bool:
    """Return whether `X` is a data frame of pandas or polars."""
    return hasattr(X, "columns") and hasattr(X, "dtypes") and hasattr(X, "shape")


def text_columns(X: Any) -> list[str]:
    """Return the names of a data frame's columns of text or categories."""
    return [str(list(X.columns)[place]) for place in sorted(_chosen("from_dtype", X))]


def _chosen(categorical: Any, X: Any) -> set[int]:
    """Return the indices of the columns that are categories."""
    if isinstance(categorical, str):
        if categorical != "from_dtype":
            raise ValueError(f'categorical_features is {categorical!r}; expected "from_dtype", or a list of columns')
        if not is_frame(X):
            return set()
        return {place for place, dtype in enumerate(X.dtypes) if str(dtype).split("(")[0] in CATEGORIES}
    given = list(categorical)
    if given and all(isinstance(item, bool | np.bool_) for item in given):
        if len(given) != X.shape[1]:
            raise ValueError(f"categorical_features is a mask of {len(given)} columns; X has {X.shape[1]}")
        return {place for place, chosen in enumerate(given) if chosen}
    return {_place(item, X) for item in given}


def _place(item: Any, X: Any) -> int:
    if isinstance(item, str):
        names = list(X.columns) if is_frame(X) else []
        if item not in names:
            raise ValueError(f"categorical_features has {item!r}, which is no column of X; it has {names}")
        return names.index(item)
    if not isinstance(item, int | np.integer) or not 0 <= item < X.shape[1]:
        raise ValueError(f"categorical_features has {item!r}; expected names, or indices from 0 to {X.shape[1] - 1}")
    return int(item)


def _column(X: Any, place: int) -> Any:
    if hasattr(X, "iloc"):
        return X.iloc[:, place]
    return X.to_series(place) if is_frame(X) else X[:, place]


def _mean(numbers: np.ndarray, weights: np.ndarray | None) -> float:
    """Return the mean of those that are not missing; 0 if all are."""
    known = ~np.isnan(numbers)
    if weights is not None:
        known &= weights > 0
    if not known.any():
        return 0.0
    return float(np.average(numbers[known], weights=None if weights is None else weights[known]))


def _values(X: Any, place: int) -> Sequence[Any]:
    """Return the cells of a column of categories; None for missing ones."""
    column = _column(X, place)
    cells = column.to_list() if is_frame(X) else column.tolist()
    return [None if is_absent(value) else value for value in cells]


def _numbers(X: Any, place: int) -> np.ndarray:
    """Return the cells of a column of numbers, float64; NaN for missing ones."""
    column = _column(X, place)
    name = f"column {list(X.columns)[place]!r}" if is_frame(X) else f"column {place}"
    refused = f"X has text in {name}; expected numbers. Categories are named by categorical_features"
    try:
        if hasattr(column, "isna"):
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        elif is_frame(X):
            numbers = column.cast(float).to_numpy().astype(np.float64)
        else:
            numbers = np.array([np.nan if is_absent(value) else value for value in column.tolist()], np.float64)
    except Exception as error:  # of pandas or polars
        raise ValueError(refused) from error
    infinite = np.isinf(numbers)
    if infinite.any():
        raise ValueError(f"X has an infinity in {name}, row {int(infinite.argmax())}")
    return numbers
