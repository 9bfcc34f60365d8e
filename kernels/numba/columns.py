"""Copies of blocks of columns, and tables whose rows a column of whole numbers names (embeddings)."""

from .compiled import njit


def copy_columns(source, start, count, out, out_start):
    """Copy `count` columns of the 2-D `source` from `start` on to the columns of `out` from `out_start` on."""
    _copy_columns(source, start, count, out, out_start)


def first_bad_index(x, column, count):
    """Return the first row in which `column` of the 2-D `x` is not a whole number in [0, count), or -1."""
    return int(_first_bad_index(x, column, count))


def embed(x, column, table, out, out_start):
    """Write row x[i, column] of the table to row i of `out`, from column `out_start` on."""
    _embed(x, column, table, out, out_start)


def embed_backward(dy, start, x, column, padding, dtable):
    """Write to each row of `dtable` the sum of the gradients of its uses, 0 to row `padding` (-1 is none)."""
    dtable[...] = 0
    _embed_backward(dy, start, x, column, padding, dtable)


@njit()
def _copy_columns(source, start, count, out, out_start):
    for i in range(out.shape[0]):
        for j in range(count):
            out[i, out_start + j] = source[i, start + j]


@njit()
def _first_bad_index(x, column, count):
    for i in range(x.shape[0]):
        value = x[i, column]
        if not (value >= 0 and value < count):
            return i
        if int(value) != value:
            return i
    return -1


@njit()
def _embed(x, column, table, out, out_start):
    for i in range(out.shape[0]):
        row = int(x[i, column])
        for j in range(table.shape[1]):
            out[i, out_start + j] = table[row, j]


@njit()
def _embed_backward(dy, start, x, column, padding, dtable):
    for i in range(dy.shape[0]):
        row = int(x[i, column])
        if row != padding:
            for j in range(dtable.shape[1]):
                dtable[row, j] += dy[i, start + j]
