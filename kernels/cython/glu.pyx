"""Gated linear units (Dauphin et al. 2017) of arrays (n, 2, size): one half times the sigmoid of the other."""

cimport numpy as cnp
from cython cimport floating

from .arrays cimport columns, data, is_single, rows
from .calls cimport import_runtime, make, pn_parallel, pn_part_start, pn_parts
from .elementwise cimport PN_SIGMOID, map_forward

cnp.import_array()
import_runtime()

cdef enum:
    GRAIN = 8192  # minimum elements per thread


cdef struct Glu:
    void* x
    void* y
    Py_ssize_t n
    Py_ssize_t size
    bint single
    int parts


cdef struct GluBackward:
    void* dy
    void* x
    void* dx
    Py_ssize_t n
    Py_ssize_t size
    bint single
    int parts


cdef void example_forward(const floating* x, floating* y, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t j
    map_forward(x + size, y, size, PN_SIGMOID, <floating>0)
    for j in range(size):
        y[j] *= x[j]


cdef void example_backward(const floating* dy, const floating* x, floating* dx, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t j
    cdef floating gate
    map_forward(x + size, dx + size, size, PN_SIGMOID, <floating>0)
    for j in range(size):
        gate = dx[size + j]
        dx[j] = dy[j] * gate
        dx[size + j] = dy[j] * x[j] * (gate * (1 - gate))


cdef void forward_part(void* argument, int index) noexcept nogil:
    cdef Glu* c = <Glu*>argument
    cdef Py_ssize_t i
    for i in range(pn_part_start(c.n, 1, index, c.parts), pn_part_start(c.n, 1, index + 1, c.parts)):
        if c.single:
            example_forward(<float*>c.x + 2 * i * c.size, <float*>c.y + i * c.size, c.size)
        else:
            example_forward(<double*>c.x + 2 * i * c.size, <double*>c.y + i * c.size, c.size)


cdef void backward_part(void* argument, int index) noexcept nogil:
    cdef GluBackward* c = <GluBackward*>argument
    cdef Py_ssize_t i, at
    for i in range(pn_part_start(c.n, 1, index, c.parts), pn_part_start(c.n, 1, index + 1, c.parts)):
        at = i * c.size
        if c.single:
            example_backward(<float*>c.dy + at, <float*>c.x + 2 * at, <float*>c.dx + 2 * at, c.size)
        else:
            example_backward(<double*>c.dy + at, <double*>c.x + 2 * at, <double*>c.dx + 2 * at, c.size)


cdef int run_forward(void* argument) noexcept nogil:
    cdef Glu* c = <Glu*>argument
    c.parts = pn_parts(<double>c.n * c.size, GRAIN)
    pn_parallel(forward_part, c, c.parts)
    return 0


cdef int run_backward(void* argument) noexcept nogil:
    cdef GluBackward* c = <GluBackward*>argument
    c.parts = pn_parts(<double>c.n * c.size, GRAIN)
    pn_parallel(backward_part, c, c.parts)
    return 0


def glu(cnp.ndarray x, cnp.ndarray out):
    """Write a sigmoid(b) to `out` (n, size), with a = x[:, 0] and b = x[:, 1]."""
    cdef Glu call = Glu(data(x), data(out), rows(out), columns(out), is_single(x), 1)
    make(run_forward, &call, sizeof(call), 1, (x, out))


def glu_backward(cnp.ndarray dy, cnp.ndarray x, cnp.ndarray dx):
    """Write dy s to dx[:, 0] and dy a s (1 - s) to dx[:, 1], with s = sigmoid(b)."""
    cdef GluBackward call = GluBackward(data(dy), data(x), data(dx), rows(dy), columns(dy), is_single(x), 1)
    make(run_backward, &call, sizeof(call), 2, (dy, x, dx))
