"""Copies of blocks of columns, and tables whose rows a column of whole numbers names (embeddings)."""

import numpy as np

from .quiet import quiet


def copy_columns(source, start, count, out, out_start):
    """Copy `count` columns of the 2-D `source` from `start` on to the columns of `out` from `out_start` on."""
    out[:, out_start : out_start + count] = source[:, start : start + count]


@quiet
def first_bad_index(x, column, count):
    """Return the first row in which `column` of the 2-D `x` is not a whole number in [0, count), or -1."""
    values = x[:, column]
    bad = ~((values >= 0) & (values < count) & (values == np.floor(values)))
    return int(bad.argmax()) if bad.any() else -1


def embed(x, column, table, out, out_start):
    """Write row x[i, column] of the table to row i of `out`, from column `out_start` on."""
    out[:, out_start : out_start + table.shape[1]] = table[x[:, column].astype(np.int64)]


@quiet
def embed_backward(dy, start, x, column, padding, dtable):
    """Write to each row of `dtable` the sum of the gradients of its uses, 0 to row `padding` (-1 is none)."""
    dtable[...] = 0
    np.add.at(dtable, x[:, column].astype(np.int64), dy[:, start : start + dtable.shape[1]])
    if padding >= 0:
        dtable[padding] = 0
