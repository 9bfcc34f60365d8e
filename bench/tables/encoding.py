"""The encoding that all contestants share: numbers with their gaps filled, text as one column per value."""

from __future__ import annotations

from typing import Any

import numpy as np

#: A text column keeps its most frequent values; all others share one column.
MOST_VALUES = 30


def encode(train: Any, test: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return two DataFrames of inputs as float64 matrices; medians and values are those of the first.

    A number that is missing becomes the column's median, with a column of zeros and ones that marks it. So does text,
    whose gaps count as a value of their own.
    """
    columns: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for name in train.columns:
        for made, frame in zip(columns, (train, test), strict=True):
            made += _column(train[name], frame[name])
    x_train, x_test = (np.column_stack(made) for made in columns)
    varied = np.ptp(x_train, axis=0) > 0
    return x_train[:, varied], x_test[:, varied]


def _column(reference: Any, values: Any) -> list[np.ndarray]:
    if reference.dtype.kind in "fiub":
        numbers, missing = values.to_numpy(np.float64, na_value=np.nan), values.isna().to_numpy()
        filled = np.where(missing, reference.median(), numbers)
        return [filled, missing.astype(np.float64)]
    frequent = reference.astype("str").fillna("").value_counts().index[:MOST_VALUES]
    text = values.astype("str").fillna("")
    return [*((text == value).to_numpy(np.float64) for value in frequent), (~text.isin(frequent)).to_numpy(np.float64)]
