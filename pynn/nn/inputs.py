"""Inputs that are preprocessed lazily, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..utils.arrays import check_finite

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..preprocessing import Transformer

#: Elements preprocessed at a time when large inputs are processed in parts.
PART = 1 << 20


class Prepares(Protocol):
    """The part of a model that converts raw inputs to network inputs: its preprocessing, then `as_input`."""

    preprocessing: Transformer | None

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the network's inputs."""

    def as_input(self, x: ArrayLike) -> np.ndarray:
        """Return a batch of that dtype."""


class Inputs:
    """Inputs in memory or in a memory-mapped file, preprocessed lazily, batch by batch.

    Parameters
    ----------
    raw : ndarray, shape (n, ...)
    model : Sequential
        Its preprocessing, if any, is applied; the result has its dtype.
    """

    def __init__(self, raw: np.ndarray, model: Prepares) -> None:
        self._raw, self._model = raw, model

    def __len__(self) -> int:
        return len(self._raw)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all preprocessed inputs."""
        return (len(self), *self[:1].shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """The dtype of preprocessed inputs."""
        return self._model.dtype

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        """Return the preprocessed rows of a slice or of an array of indices; the file is read in order."""
        if isinstance(rows, slice):
            return self._prepared(self._raw[rows])
        order = np.argsort(rows, kind="stable")
        prepared = self._prepared(self._raw[rows[order]])
        out = np.empty_like(prepared)
        out[order] = prepared
        return out

    def part(self, rows: slice) -> Inputs:
        """Return the rows of a slice, preprocessed lazily too."""
        return Inputs(self._raw[rows], self._model)

    def all(self) -> np.ndarray:
        """Return all rows as one array; the raw data itself if it needs no preprocessing."""
        return self._prepared(self._raw)

    def _prepared(self, raw: np.ndarray) -> np.ndarray:
        if self._model.preprocessing is not None:
            raw = self._model.preprocessing.transform(raw)
        with np.errstate(over="ignore"):
            return self._model.as_input(raw)

    def parts(self) -> Iterator[slice]:
        """Yield slices that cover all rows in parts of a few megabytes."""
        rows = max(1, PART // max(1, self._raw[:1].size))
        for start in range(0, len(self), rows):
            yield slice(start, min(start + rows, len(self)))

    def check(self, name: str) -> None:
        """Raise ValueError naming the first row with a NaN or an infinity, raw or preprocessed."""
        if self._raw.dtype.kind != "f":
            return
        for rows in self.parts():
            check_finite(self._raw[rows], name, rows.start)
            check_finite(self[rows], f"{name} as {self.dtype}", rows.start)
