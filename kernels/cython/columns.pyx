"""Copies of blocks of columns, and tables whose rows a column of whole numbers names (embeddings)."""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport floor
from libc.string cimport memcpy, memset

from .arrays cimport columns, data, is_single, rows
from .calls cimport import_runtime, make

cnp.import_array()
import_runtime()


cdef struct Copy:
    char* source
    char* out
    Py_ssize_t n
    size_t bytes
    Py_ssize_t source_step
    Py_ssize_t out_step
    Py_ssize_t source_at
    Py_ssize_t out_at


cdef int run_copy(void* argument) noexcept nogil:
    cdef Copy* c = <Copy*>argument
    cdef Py_ssize_t i
    for i in range(c.n):
        memcpy(c.out + i * c.out_step + c.out_at, c.source + i * c.source_step + c.source_at, c.bytes)
    return 0


def copy_columns(cnp.ndarray source, Py_ssize_t start, Py_ssize_t count, cnp.ndarray out, Py_ssize_t out_start):
    """Copy `count` columns of the 2-D `source` from `start` on to the columns of `out` from `out_start` on."""
    cdef Py_ssize_t item = cnp.PyArray_ITEMSIZE(source)
    cdef Copy call = Copy(
        <char*>data(source), <char*>data(out), rows(source), <size_t>(count * item), columns(source) * item,
        columns(out) * item, start * item, out_start * item
    )
    make(run_copy, &call, sizeof(call), 1, (source, out))


cdef Py_ssize_t first_bad(const floating* x, Py_ssize_t n, Py_ssize_t step, Py_ssize_t count) noexcept nogil:
    cdef Py_ssize_t i
    cdef floating v
    for i in range(n):
        v = x[i * step]
        if not (v >= 0 and v < count) or floor(v) != v:
            return i
    return -1


cdef struct Indices:
    void* x
    Py_ssize_t n
    Py_ssize_t step
    Py_ssize_t column
    Py_ssize_t count
    bint single
    Py_ssize_t bad


cdef int run_first_bad_index(void* argument) noexcept nogil:
    cdef Indices* c = <Indices*>argument
    if c.single:
        c.bad = first_bad(<float*>c.x + c.column, c.n, c.step, c.count)
    else:
        c.bad = first_bad(<double*>c.x + c.column, c.n, c.step, c.count)
    return -1 if c.bad >= 0 else 0


def first_bad_index(cnp.ndarray x, Py_ssize_t column, Py_ssize_t count):
    """Return the first row in which `column` of the 2-D `x` is not a whole number in [0, count), or -1."""
    cdef Indices call = Indices(data(x), rows(x), columns(x), column, count, is_single(x), -1)
    make(run_first_bad_index, &call, sizeof(call), 1, (x,))
    return call.bad


cdef struct Embed:
    void* x
    void* table
    void* out
    Py_ssize_t n
    Py_ssize_t step
    Py_ssize_t column
    Py_ssize_t width
    Py_ssize_t out_step
    Py_ssize_t out_start
    bint single


cdef void embed_rows(const floating* x, const floating* table, floating* out, const Embed* c) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(c.n):
        memcpy(
            out + i * c.out_step + c.out_start, table + <Py_ssize_t>x[i * c.step + c.column] * c.width,
            <size_t>c.width * sizeof(floating)
        )


cdef int run_embed(void* argument) noexcept nogil:
    cdef Embed* c = <Embed*>argument
    if c.single:
        embed_rows(<float*>c.x, <float*>c.table, <float*>c.out, c)
    else:
        embed_rows(<double*>c.x, <double*>c.table, <double*>c.out, c)
    return 0


def embed(cnp.ndarray x, Py_ssize_t column, cnp.ndarray table, cnp.ndarray out, Py_ssize_t out_start):
    """Write row x[i, column] of the table to row i of `out`, from column `out_start` on."""
    cdef Embed call = Embed(
        data(x), data(table), data(out), rows(x), columns(x), column, columns(table), columns(out), out_start,
        is_single(x)
    )
    make(run_embed, &call, sizeof(call), 2, (x, table, out))


cdef struct EmbedBackward:
    void* dy
    void* x
    void* dtable
    Py_ssize_t n
    Py_ssize_t dy_step
    Py_ssize_t start
    Py_ssize_t step
    Py_ssize_t column
    Py_ssize_t width
    Py_ssize_t padding
    size_t bytes
    bint single


cdef void add_rows(const floating* dy, const floating* x, floating* dtable, const EmbedBackward* c) noexcept nogil:
    cdef Py_ssize_t i, j, row
    for i in range(c.n):
        row = <Py_ssize_t>x[i * c.step + c.column]
        if row != c.padding:
            for j in range(c.width):
                dtable[row * c.width + j] += dy[i * c.dy_step + c.start + j]


cdef int run_embed_backward(void* argument) noexcept nogil:
    cdef EmbedBackward* c = <EmbedBackward*>argument
    memset(c.dtable, 0, c.bytes)
    if c.single:
        add_rows(<float*>c.dy, <float*>c.x, <float*>c.dtable, c)
    else:
        add_rows(<double*>c.dy, <double*>c.x, <double*>c.dtable, c)
    return 0


def embed_backward(
    cnp.ndarray dy, Py_ssize_t start, cnp.ndarray x, Py_ssize_t column, Py_ssize_t padding, cnp.ndarray dtable
):
    """Write to each row of `dtable` the sum of the gradients of its uses, 0 to row `padding` (-1 is none)."""
    cdef EmbedBackward call = EmbedBackward(
        data(dy), data(x), data(dtable), rows(dy), columns(dy), start, columns(x), column, columns(dtable), padding,
        <size_t>cnp.PyArray_NBYTES(dtable), is_single(dy)
    )
    make(run_embed_backward, &call, sizeof(call), 2, (dy, x, dtable))
