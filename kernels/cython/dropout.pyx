"""Inverted dropout (Srivastava et al. 2014) whose mask is a function of a seed and a position."""

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport uint64_t

from .arrays cimport columns, data, is_single, rows, size
from .calls cimport import_runtime, make, pn_parallel, pn_part_start, pn_parts

cnp.import_array()
import_runtime()

cdef enum:
    GRAIN = 32768  # minimum elements per thread
    STEP = 64  # elements: parts begin on a cache line

cdef extern from "common/splitmix.h" nogil:
    uint64_t pn_splitmix_24(uint64_t seed, uint64_t position)


cdef inline uint64_t threshold_of(double p) noexcept nogil:
    return <uint64_t>(p * (1 << 24))


cdef inline double scale_of(double p) noexcept nogil:
    return 1 / (1 - p) if p < 1 else 0


cdef void drop(
    const floating* x, floating* y, Py_ssize_t n, uint64_t seed, uint64_t offset, uint64_t threshold, floating scale
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = x[i] * scale if pn_splitmix_24(seed, offset + <uint64_t>i) >= threshold else 0


cdef struct Drop:
    void* x
    uint64_t* draw
    void* y
    Py_ssize_t n
    double p
    bint single
    int parts


cdef void drop_part(void* argument, int index) noexcept nogil:
    cdef Drop* c = <Drop*>argument
    cdef Py_ssize_t i = pn_part_start(c.n, STEP, index, c.parts)
    cdef Py_ssize_t n = pn_part_start(c.n, STEP, index + 1, c.parts) - i
    cdef uint64_t threshold = threshold_of(c.p), seed = c.draw[0], offset = c.draw[1] + <uint64_t>i
    cdef double scale = scale_of(c.p)
    if c.single:
        drop(<float*>c.x + i, <float*>c.y + i, n, seed, offset, threshold, <float>scale)
    else:
        drop(<double*>c.x + i, <double*>c.y + i, n, seed, offset, threshold, scale)


cdef int run_drop(void* argument) noexcept nogil:
    cdef Drop* c = <Drop*>argument
    c.parts = pn_parts(c.n, GRAIN)
    pn_parallel(drop_part, c, c.parts)
    return 0


def dropout(cnp.ndarray x, double p, cnp.ndarray draw, cnp.ndarray out):
    """Write x / (1 - p) where element i of the stream keeps it, else 0; `out` may be `x` itself.

    Element i of the flattened `x` is kept if the top 24 bits of splitmix64(seed, offset + i) are at least p * 2**24;
    `draw` is uint64: seed and offset. The backward pass is the same call on dy.
    """
    cdef Drop call = Drop(data(x), <uint64_t*>data(draw), data(out), size(x), p, is_single(x), 1)
    make(run_drop, &call, sizeof(call), 2, (x, draw, out))


cdef struct DropChannels:
    void* x
    uint64_t* draw
    void* y
    Py_ssize_t rows
    Py_ssize_t size
    double p
    bint single


cdef int run_drop_channels(void* argument) noexcept nogil:
    cdef DropChannels* d = <DropChannels*>argument
    cdef uint64_t threshold = threshold_of(d.p), seed = d.draw[0], offset = d.draw[1]
    cdef double scale = scale_of(d.p)
    cdef Py_ssize_t row, j
    cdef bint kept
    for row in range(d.rows):
        kept = pn_splitmix_24(seed, offset + <uint64_t>row) >= threshold
        for j in range(row * d.size, (row + 1) * d.size):
            if d.single:
                (<float*>d.y)[j] = (<float*>d.x)[j] * <float>scale if kept else 0
            else:
                (<double*>d.y)[j] = (<double*>d.x)[j] * scale if kept else 0
    return 0


def dropout_channels(cnp.ndarray x, double p, cnp.ndarray draw, cnp.ndarray out):
    """Write x / (1 - p) for the channels of an example that the stream keeps, else 0; `out` may be `x` itself.

    Element i of the stream (see `dropout`) decides on channel i of the flattened (n, channels).
    """
    cdef DropChannels call = DropChannels(
        data(x), <uint64_t*>data(draw), data(out), rows(x) * columns(x), cnp.PyArray_DIM(x, 2), p, is_single(x)
    )
    make(run_drop_channels, &call, sizeof(call), 2, (x, draw, out))


cdef struct Advance:
    uint64_t* stream
    uint64_t* draw
    uint64_t count


cdef int run_advance(void* argument) noexcept nogil:
    cdef Advance* c = <Advance*>argument
    c.draw[0] = c.stream[0]
    c.draw[1] = c.stream[1]
    c.stream[1] += c.count
    return 0


def advance(cnp.ndarray stream, uint64_t count, cnp.ndarray draw):
    """Copy the stream's seed and offset to `draw` and advance the stream by `count`; both are uint64 (2,)."""
    cdef Advance call = Advance(<uint64_t*>data(stream), <uint64_t*>data(draw), count)
    make(run_advance, &call, sizeof(call), 1, (stream, draw))
