"""Inverted dropout (Srivastava et al. 2014) whose mask is a function of a seed and a position."""

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport uint64_t

from .arrays cimport data, is_single, size

cnp.import_array()

cdef extern from *:
    """
    /* SplitMix64 (Steele, Lea & Flood 2014) as a function of the position, top 24 bits. */
    static inline uint64_t pn_splitmix_24(uint64_t seed, uint64_t position) {
        uint64_t z = seed + (position + 1) * UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        return (z ^ (z >> 31)) >> 40;
    }
    """
    uint64_t pn_splitmix_24(uint64_t seed, uint64_t position) noexcept nogil


cdef void drop(
    const floating* x, floating* y, Py_ssize_t n, uint64_t seed, uint64_t offset, uint64_t threshold, floating scale
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = x[i] * scale if pn_splitmix_24(seed, offset + <uint64_t>i) >= threshold else 0


def dropout(cnp.ndarray x, double p, uint64_t seed, uint64_t offset, cnp.ndarray out):
    """Write x / (1 - p) where element i of the stream keeps it, else 0; `out` may be `x` itself.

    Element i of the flattened `x` is kept if the top 24 bits of splitmix64(seed, offset + i) are at least p * 2**24.
    The backward pass is the same call on dy.
    """
    cdef Py_ssize_t n = size(x)
    cdef uint64_t threshold = <uint64_t>(p * (1 << 24))
    cdef double scale = 1 / (1 - p) if p < 1 else 0
    cdef void* px = data(x)
    cdef void* py = data(out)
    if is_single(x):
        with nogil:
            drop(<float*>px, <float*>py, n, seed, offset, threshold, <float>scale)
    else:
        with nogil:
            drop(<double*>px, <double*>py, n, seed, offset, threshold, scale)
