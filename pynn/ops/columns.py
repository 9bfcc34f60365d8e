"""Blocks of columns, and tables whose rows a column of whole numbers names (embeddings)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends.selection import kernels
from ..utils.validation import count
from ._check import apart, check_shape, floats, output

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_ROWS = ("n", "columns")


def copy_columns(source: ArrayLike, out: np.ndarray, *, start: int = 0, width: int, out_start: int = 0) -> np.ndarray:
    """Copy `width` columns of `source`, from `start` on, to the columns of `out` from `out_start` on; return `out`.

    Parameters
    ----------
    source : array_like, shape (n, columns)
    out : ndarray, shape (n, other columns)
        Its other columns stay as they are.
    start, width, out_start : int

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype or shape, or columns that do not exist.

    Examples
    --------
    >>> import numpy as np
    >>> copy_columns(np.array([[1.0, 2.0, 3.0]]), np.zeros((1, 3)), start=1, width=2)
    array([[2., 3., 0.]])
    """
    source = floats(source, "source", shape=_ROWS)
    out = _target(out, "out", source)
    _check_columns("source", source, start, width)
    _check_columns("out", out, out_start, width)
    apart({"out": out}, source)
    kernels().columns.copy_columns(source, start, width, out, out_start)
    return out


def embed(
    indices: ArrayLike, table: ArrayLike, out: np.ndarray | None = None, *, column: int = 0, out_start: int = 0
) -> np.ndarray:
    """Write row ``indices[i, column]`` of the table to row i of `out`, from column `out_start` on; return `out`.

    Parameters
    ----------
    indices : array_like, shape (n, columns)
        In `column`: whole numbers, in the table's dtype.
    table : array_like, shape (rows, width)
    out : ndarray, shape (n, at least out_start + width), optional
        Its other columns stay as they are; by default a new array (n, width).
    column, out_start : int

    Raises
    ------
    TypeError, ValueError
        For a wrong dtype or shape, or for a number that is no row of the table; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> embed(np.array([[2.0], [0.0]]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    array([[5., 6.],
           [1., 2.]])
    """
    table = floats(table, "table", shape=("rows", "width"))
    indices = floats(indices, "indices", like=table, shape=_ROWS)
    _check_columns("indices", indices, column, 1)
    if out is None:
        out = np.empty((len(indices), table.shape[1]), table.dtype)
    out = _target(out, "out", indices)
    _check_columns("out", out, out_start, table.shape[1])
    apart({"out": out}, indices, table)
    _check_indices(indices, column, len(table))
    kernels().columns.embed(indices, column, table, out, out_start)
    return out


def embed_backward(
    dy: ArrayLike,
    indices: ArrayLike,
    dtable: np.ndarray,
    *,
    column: int = 0,
    start: int = 0,
    padding_idx: int | None = None,
) -> np.ndarray:
    """Write the gradient of the table: each row's sum over its uses; return `dtable`.

    Parameters
    ----------
    dy : array_like, shape (n, at least start + width)
        The gradient of the output of `embed`; that of the table's rows is in the columns from `start` on.
    indices, column
        As given to `embed`.
    dtable : ndarray, shape (rows, width)
    start : int
    padding_idx : int, optional
        A row whose gradient is 0.

    Examples
    --------
    >>> import numpy as np
    >>> embed_backward(np.array([[1.0], [2.0], [4.0]]), np.array([[1.0], [0.0], [1.0]]), np.zeros((3, 1))).ravel()
    array([2., 5., 0.])
    """
    dy = floats(dy, "dy")
    indices = floats(indices, "indices", like=dy, shape=_ROWS)
    check_shape(dy, "dy", (len(indices), "width"))
    _check_columns("indices", indices, column, 1)
    if not isinstance(dtable, np.ndarray) or dtable.ndim != 2:
        raise TypeError("dtable is not an array of two dimensions; expected the gradient of the table, to write to")
    output(dtable, "dtable", dtable.shape, dy.dtype)
    _check_columns("dy", dy, start, dtable.shape[1])
    apart({"dtable": dtable}, dy, indices)
    _check_indices(indices, column, len(dtable))
    padding = -1 if padding_idx is None else count(padding_idx, "padding_idx", minimum=0)
    if padding >= len(dtable):
        raise ValueError(f"padding_idx is {padding}; expected a row of the table, less than {len(dtable)}")
    kernels().columns.embed_backward(dy, start, indices, column, padding, dtable)
    return dtable


def _target(out: np.ndarray, name: str, like: np.ndarray) -> np.ndarray:
    """Return `out` if a kernel can write it: two dimensions, as many rows and the dtype of `like`."""
    if not isinstance(out, np.ndarray) or out.ndim != 2:
        raise TypeError(f"{name} is not an array of two dimensions; expected a NumPy array to write to")
    return output(out, name, (len(like), out.shape[1]), like.dtype)


def _check_columns(name: str, array: np.ndarray, start: int, width: int) -> None:
    if count(width, "width", minimum=0) + count(start, "start", minimum=0) > array.shape[1]:
        raise ValueError(f"{name} has shape {array.shape}; expected at least {width} columns from {start} on")


def _check_indices(indices: np.ndarray, column: int, rows: int) -> None:
    bad = kernels().columns.first_bad_index(indices, column, rows)
    if bad >= 0:
        raise ValueError(no_category(indices[bad, column], f"row {bad}, column {column}", rows))


def no_category(value: float, place: str, rows: int) -> str:
    """Return the message for an index that is no row of a table of `rows`.

    Examples
    --------
    >>> no_category(7.0, "row 1", 4)
    '7 in row 1 is no category: expected a whole number from 0 to 3'
    """
    return f"{value:g} in {place} is no category: expected a whole number from 0 to {rows - 1}"
