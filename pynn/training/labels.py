"""Labels that are text, and their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.arrays import as_array, is_absent

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def text_labels(y: ArrayLike, name: str) -> list[str] | None:
    """Return labels of shape (n,) or (n, 1) as a list if they are text, else None.

    Raises ValueError or TypeError, naming the row, if one is missing or of another type.

    Examples
    --------
    >>> text_labels([["ant"], ["bee"]], "targets")
    ['ant', 'bee']
    """
    labels = as_array(y, name)
    if labels.dtype.kind == "U" and isinstance(y, list | tuple):
        labels = np.array(y, dtype=object)  # NumPy makes text of a NaN or a number among text
    if labels.dtype.kind not in "UTO" or not any(isinstance(label, str) for label in labels.flat):
        return None
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"{name} are text of shape {labels.shape}; expected one label per row, (n,)")
    for row, label in enumerate(labels):
        if isinstance(label, str):
            continue
        if is_absent(label):
            raise ValueError(f"{name} have a missing value, {label}, in row {row}: remove examples without a label")
        raise TypeError(f"{name} have {label!r} in row {row} among labels that are text; expected only text")
    return labels.tolist()


def numbered(labels: Sequence[str], names: Sequence[Any], name: str) -> np.ndarray:
    """Return the index of each label in `names`.

    Raises ValueError, naming the row, for a label that is not there.

    Examples
    --------
    >>> numbered(["bee", "ant", "bee"], ["ant", "bee"], "targets")
    array([1, 0, 1])
    """
    places = {text: place for place, text in enumerate(names)}
    found = np.array([places.get(label, -1) for label in labels], np.int64)
    if (found < 0).any():
        row = int((found < 0).argmax())
        known = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
        raise ValueError(f"{name} have {labels[row]!r} in row {row}; expected one of the classes {known}")
    return found
