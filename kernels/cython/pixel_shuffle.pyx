"""Pixels of r x r planes (n, r, r, height, width) as blocks of one plane (n, height, r, width, r), and back."""

cimport numpy as cnp
from cython cimport floating

from .arrays cimport data, is_single, rows
from .calls cimport import_runtime, make, pn_parallel, pn_part_start, pn_parts

cnp.import_array()
import_runtime()

cdef enum:
    GRAIN = 32768  # minimum elements per thread


cdef struct Shuffle:
    void* x
    void* y
    Py_ssize_t n
    Py_ssize_t r
    Py_ssize_t height
    Py_ssize_t width
    bint back
    bint single
    int parts


cdef void plane(const floating* x, floating* y, const Shuffle* c) noexcept nogil:
    """Write one plane, row by row of the blocks."""
    cdef Py_ssize_t h, i, w, j, blocks, separate
    for h in range(c.height):
        for i in range(c.r):
            for j in range(c.r):
                blocks = (h * c.r + i) * c.width * c.r + j
                separate = ((i * c.r + j) * c.height + h) * c.width
                if c.back:
                    for w in range(c.width):
                        y[separate + w] = x[blocks + w * c.r]
                else:
                    for w in range(c.width):
                        y[blocks + w * c.r] = x[separate + w]


cdef void part(void* argument, int index) noexcept nogil:
    cdef Shuffle* c = <Shuffle*>argument
    cdef Py_ssize_t p, size = c.r * c.r * c.height * c.width
    for p in range(pn_part_start(c.n, 1, index, c.parts), pn_part_start(c.n, 1, index + 1, c.parts)):
        if c.single:
            plane(<float*>c.x + p * size, <float*>c.y + p * size, c)
        else:
            plane(<double*>c.x + p * size, <double*>c.y + p * size, c)


cdef int run(void* argument) noexcept nogil:
    cdef Shuffle* c = <Shuffle*>argument
    c.parts = pn_parts(<double>c.n * c.r * c.r * c.height * c.width, GRAIN)
    pn_parallel(part, c, c.parts)
    return 0


def pixel_shuffle(cnp.ndarray x, cnp.ndarray out):
    """Write plane (i, j) of `x` to row i and column j of the blocks of `out`."""
    cdef Shuffle call = Shuffle(
        data(x), data(out), rows(x), cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(x, 3), cnp.PyArray_DIM(x, 4), False,
        is_single(x), 1
    )
    make(run, &call, sizeof(call), 1, (x, out))


def pixel_unshuffle(cnp.ndarray x, cnp.ndarray out):
    """Write row i and column j of the blocks of `x` to plane (i, j) of `out`."""
    cdef Shuffle call = Shuffle(
        data(x), data(out), rows(x), cnp.PyArray_DIM(x, 2), cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(x, 3), True,
        is_single(x), 1
    )
    make(run, &call, sizeof(call), 1, (x, out))
