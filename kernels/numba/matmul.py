"""Matrix multiply, and the column sum for its backward pass."""

import numpy as np

from ..codes import ActivationCode
from .activations import activate
from .compiled import FMA, REORDERED, njit
from .reductions import add_column_totals

#: Piece of a row that the tile of `_add_dots` reads: seven of them fill most of a 32 KB L1 cache.
PIECE_BYTES = 4096
#: Rows of the left matrix that are reused while they are in the L2 cache.
LEFT_ROWS = 48
#: The block of the right matrix that `_add_rows` reuses for each row of the result.
BLOCK_DEPTH, BLOCK_COLUMNS = 32, 1024


def matmul(a, b, trans_a, trans_b, bias, activation, alpha, out, pre_out):
    """Write f(op(a) @ op(b) + bias) to `out`, where op transposes if its flag is set.

    The pre-activation is also written to `pre_out`, unless it is None.
    """
    out[...] = 0 if bias is None else bias
    _add_product(a, b, bool(trans_a), bool(trans_b), out)
    if pre_out is not None:
        pre_out[...] = out
    if activation != ActivationCode.IDENTITY:
        activate(out, activation, alpha, out)


def column_sum(x, out):
    """Write the sum over the rows of the 2-D `x` to `out`."""
    _column_sum(x, out)


@njit()
def _column_sum(x, out):
    total = np.zeros(x.shape[1])
    add_column_totals(x, total)
    for j in range(out.size):
        out[j] = total[j]


@njit()
def _add_product(a, b, trans_a, trans_b, out):
    m, n = out.shape
    left = _transposed(a) if trans_a else a
    depth = left.shape[1]
    # Reading both matrices along the depth suits a narrow result, or a depth that pays for the horizontal sums and, if
    # needed, the transpose; otherwise the right matrix is read along its rows. Measured including the transpose,
    # against `_add_rows`: (64, 256, 10) 5 times as fast, 512^3 and 1024^3 1.1 to 1.5, (64, 784, 256) 0.95.
    if n < 32 or (trans_b and depth >= 64) or (m >= 256 and depth >= 256):
        _add_dots(left, b if trans_b else _transposed(b), out)
    else:
        _add_rows(left, _transposed(b) if trans_b else b, out)


@njit()
def _transposed(x):
    rows, columns = x.shape
    result = np.empty((columns, rows), x.dtype)
    for start in range(0, rows, 16):  # whole cache lines: at 512 x 512 3 times as fast as ascontiguousarray
        stop = min(start + 16, rows)
        for j in range(columns):
            line = result[j]
            for i in range(start, stop):
                line[i] = x[i, j]
    return result


@njit()
def _add_dots(left, right, out):
    """Add left @ right.T to `out`, 3 x 4 dot products at a time."""
    m, depth = left.shape
    n = right.shape[0]
    tile = np.empty((3, 4), out.dtype)
    pieces = -(-depth * out.itemsize // PIECE_BYTES)
    for piece in range(pieces):
        here = slice(piece * depth // pieces, (piece + 1) * depth // pieces)
        for i0 in range(0, m, LEFT_ROWS):
            i1 = min(i0 + LEFT_ROWS, m)
            for j in range(0, n, 4):
                b0, b1 = right[j, here], right[min(j + 1, n - 1), here]  # at the edge, repeat the last row
                b2, b3 = right[min(j + 2, n - 1), here], right[min(j + 3, n - 1), here]
                for i in range(i0, i1, 3):
                    a0, a1, a2 = left[i, here], left[min(i + 1, m - 1), here], left[min(i + 2, m - 1), here]
                    _dots_3x4(a0, a1, a2, b0, b1, b2, b3, tile)
                    for r in range(min(3, i1 - i)):
                        for c in range(min(4, n - j)):
                            out[i + r, j + c] += tile[r, c]


# 12 vectors of partial sums, 3 operands and 1 more fill the 16 registers of AVX2: 12 FMAs for 7 loads.
@njit(forceinline=True, fastmath=REORDERED)
def _dots_3x4(a0, a1, a2, b0, b1, b2, b3, tile):
    s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = s20 = s21 = s22 = s23 = tile.dtype.type(0)
    for p in range(a0.size):
        x0, x1, x2 = a0[p], a1[p], a2[p]
        y = b0[p]
        s00, s10, s20 = s00 + x0 * y, s10 + x1 * y, s20 + x2 * y
        y = b1[p]
        s01, s11, s21 = s01 + x0 * y, s11 + x1 * y, s21 + x2 * y
        y = b2[p]
        s02, s12, s22 = s02 + x0 * y, s12 + x1 * y, s22 + x2 * y
        y = b3[p]
        s03, s13, s23 = s03 + x0 * y, s13 + x1 * y, s23 + x2 * y
    tile[0, 0], tile[0, 1], tile[0, 2], tile[0, 3] = s00, s01, s02, s03
    tile[1, 0], tile[1, 1], tile[1, 2], tile[1, 3] = s10, s11, s12, s13
    tile[2, 0], tile[2, 1], tile[2, 2], tile[2, 3] = s20, s21, s22, s23


@njit()
def _add_rows(left, right, out):
    """Add left @ right to `out`, 3 rows of `out` and 4 of `right` at a time."""
    m, n = out.shape
    depth = left.shape[1]
    threes = m - m % 3
    for j0 in range(0, n, BLOCK_COLUMNS):
        columns = slice(j0, min(j0 + BLOCK_COLUMNS, n))
        for p0 in range(0, depth, BLOCK_DEPTH):
            p1 = min(p0 + BLOCK_DEPTH, depth)
            fours = p1 - (p1 - p0) % 4
            for i in range(0, threes, 3):
                c0, c1, c2 = out[i, columns], out[i + 1, columns], out[i + 2, columns]
                for p in range(p0, fours, 4):
                    b0, b1, b2, b3 = (
                        right[p, columns],
                        right[p + 1, columns],
                        right[p + 2, columns],
                        right[p + 3, columns],
                    )
                    _rows_3x4(left[i : i + 3, p : p + 4], b0, b1, b2, b3, c0, c1, c2)
                for p in range(fours, p1):
                    _row_1x1(left[i, p], right[p, columns], c0)
                    _row_1x1(left[i + 1, p], right[p, columns], c1)
                    _row_1x1(left[i + 2, p], right[p, columns], c2)
            for i in range(threes, m):
                for p in range(p0, p1):
                    _row_1x1(left[i, p], right[p, columns], out[i, columns])


@njit(forceinline=True, fastmath=FMA)
def _rows_3x4(a, b0, b1, b2, b3, c0, c1, c2):
    a00, a01, a02, a03 = a[0, 0], a[0, 1], a[0, 2], a[0, 3]
    a10, a11, a12, a13 = a[1, 0], a[1, 1], a[1, 2], a[1, 3]
    a20, a21, a22, a23 = a[2, 0], a[2, 1], a[2, 2], a[2, 3]
    for j in range(c0.size):
        c0[j] += a00 * b0[j] + a01 * b1[j] + a02 * b2[j] + a03 * b3[j]
        c1[j] += a10 * b0[j] + a11 * b1[j] + a12 * b2[j] + a13 * b3[j]
        c2[j] += a20 * b0[j] + a21 * b1[j] + a22 * b2[j] + a23 * b3[j]


@njit(forceinline=True, fastmath=FMA)
def _row_1x1(a, b, c):
    for j in range(c.size):
        c[j] += a * b[j]
