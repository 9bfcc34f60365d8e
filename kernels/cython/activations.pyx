"""Activations and their derivatives."""

cimport numpy as cnp
from cython cimport floating

from .arrays cimport data, is_single, size
from .calls cimport import_runtime, make, pn_parallel, pn_part_start, pn_parts
from .elementwise cimport map_backward, map_forward, pn_takes_exponential

cnp.import_array()
import_runtime()


cdef enum:
    GRAIN = 32768  # minimum elements per thread,
    GRAIN_EXP = 8192  # of an activation with an exponential
    STEP = 64  # elements: parts begin on a cache line, if the array does


cdef struct Map:
    void* x
    void* y
    Py_ssize_t n
    int code
    double alpha
    bint single
    int parts


cdef void map_part(void* argument, int index) noexcept nogil:
    cdef Map* c = <Map*>argument
    cdef Py_ssize_t start = pn_part_start(c.n, STEP, index, c.parts)
    cdef Py_ssize_t n = pn_part_start(c.n, STEP, index + 1, c.parts) - start
    if c.single:
        map_forward(<float*>c.x + start, <float*>c.y + start, n, c.code, <float>c.alpha)
    else:
        map_forward(<double*>c.x + start, <double*>c.y + start, n, c.code, c.alpha)


cdef int run_map(void* argument) noexcept nogil:
    cdef Map* c = <Map*>argument
    c.parts = pn_parts(c.n, GRAIN_EXP if pn_takes_exponential(c.code) else GRAIN)
    pn_parallel(map_part, c, c.parts)
    return 0


def activate(cnp.ndarray x, int code, double alpha, cnp.ndarray out):
    """Write f(x) to `out`, which may be `x` itself."""
    cdef Map call = Map(data(x), data(out), size(x), code, alpha, is_single(x), 1)
    make(run_map, &call, sizeof(call), 1, (x, out))


cdef extern from *:
    """
    static inline void pn_add_f32(const float *a, const float *b, float *y, ptrdiff_t n) {
        PN_SAFE_IN_PLACE for (ptrdiff_t i = 0; i < n; i++) y[i] = a[i] + b[i];
    }
    static inline void pn_add_f64(const double *a, const double *b, double *y, ptrdiff_t n) {
        PN_SAFE_IN_PLACE for (ptrdiff_t i = 0; i < n; i++) y[i] = a[i] + b[i];
    }
    """
    void pn_add_f32(const float* a, const float* b, float* y, Py_ssize_t n) noexcept nogil
    void pn_add_f64(const double* a, const double* b, double* y, Py_ssize_t n) noexcept nogil


cdef struct Sum:
    void* a
    void* b
    void* y
    Py_ssize_t n
    bint single
    int parts


cdef void sum_part(void* argument, int index) noexcept nogil:
    cdef Sum* c = <Sum*>argument
    cdef Py_ssize_t i = pn_part_start(c.n, STEP, index, c.parts)
    cdef Py_ssize_t n = pn_part_start(c.n, STEP, index + 1, c.parts) - i
    if c.single:
        pn_add_f32(<float*>c.a + i, <float*>c.b + i, <float*>c.y + i, n)
    else:
        pn_add_f64(<double*>c.a + i, <double*>c.b + i, <double*>c.y + i, n)


cdef int run_sum(void* argument) noexcept nogil:
    cdef Sum* c = <Sum*>argument
    c.parts = pn_parts(c.n, GRAIN)
    pn_parallel(sum_part, c, c.parts)
    return 0


def add(cnp.ndarray a, cnp.ndarray b, cnp.ndarray out):
    """Write a + b to `out`, which may be `a` or `b`."""
    cdef Sum call = Sum(data(a), data(b), data(out), size(a), is_single(a), 1)
    make(run_sum, &call, sizeof(call), 2, (a, b, out))


cdef struct MapBackward:
    void* dy
    void* saved
    void* dx
    Py_ssize_t n
    int code
    double alpha
    bint single
    int parts


cdef void map_backward_part(void* argument, int index) noexcept nogil:
    cdef MapBackward* c = <MapBackward*>argument
    cdef Py_ssize_t i = pn_part_start(c.n, STEP, index, c.parts)
    cdef Py_ssize_t n = pn_part_start(c.n, STEP, index + 1, c.parts) - i
    if c.single:
        map_backward(<float*>c.dy + i, <float*>c.saved + i, <float*>c.dx + i, n, c.code, <float>c.alpha)
    else:
        map_backward(<double*>c.dy + i, <double*>c.saved + i, <double*>c.dx + i, n, c.code, c.alpha)


cdef int run_map_backward(void* argument) noexcept nogil:
    cdef MapBackward* c = <MapBackward*>argument
    c.parts = pn_parts(c.n, GRAIN_EXP if pn_takes_exponential(c.code) else GRAIN)
    pn_parallel(map_backward_part, c, c.parts)
    return 0


def activate_backward(cnp.ndarray dy, cnp.ndarray saved, int code, double alpha, cnp.ndarray out):
    """Write dy * f'(x) to `out`, which may be `dy` itself.

    `saved` is what the derivative is computed from: the input x for those in
    `NEEDS_INPUT` of `codes`, the output f(x) for all others.
    """
    cdef MapBackward call = MapBackward(data(dy), data(saved), data(out), size(dy), code, alpha, is_single(dy), 1)
    make(run_map_backward, &call, sizeof(call), 2, (dy, saved, out))


cdef void clip(const floating* x, floating* y, Py_ssize_t n, floating low, floating high) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = low if x[i] < low else (high if x[i] > high else x[i])


cdef void clip_backward(
    const floating* dy, const floating* saved, floating* dx, Py_ssize_t n, floating low, floating high
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        dx[i] = 0 if (saved[i] <= low) | (saved[i] >= high) else dy[i]  # `or` is a branch: 25 times as long


cdef struct Clip:
    void* x
    void* y
    Py_ssize_t n
    double low
    double high
    bint single


cdef int run_clip(void* argument) noexcept nogil:
    cdef Clip* c = <Clip*>argument
    if c.single:
        clip(<float*>c.x, <float*>c.y, c.n, <float>c.low, <float>c.high)
    else:
        clip(<double*>c.x, <double*>c.y, c.n, c.low, c.high)
    return 0


def hardtanh(cnp.ndarray x, double low, double high, cnp.ndarray out):
    """Write x within [low, high] to `out`, which may be `x` itself."""
    cdef Clip call = Clip(data(x), data(out), size(x), low, high, is_single(x))
    make(run_clip, &call, sizeof(call), 1, (x, out))


cdef struct ClipBackward:
    void* dy
    void* saved
    void* dx
    Py_ssize_t n
    double low
    double high
    bint single


cdef int run_clip_backward(void* argument) noexcept nogil:
    cdef ClipBackward* c = <ClipBackward*>argument
    if c.single:
        clip_backward(<float*>c.dy, <float*>c.saved, <float*>c.dx, c.n, <float>c.low, <float>c.high)
    else:
        clip_backward(<double*>c.dy, <double*>c.saved, <double*>c.dx, c.n, c.low, c.high)
    return 0


def hardtanh_backward(cnp.ndarray dy, cnp.ndarray saved, double low, double high, cnp.ndarray out):
    """Write dy where low < saved < high, else 0, to `out`, which may be `dy` itself; `saved` is the input or output."""
    cdef ClipBackward call = ClipBackward(data(dy), data(saved), data(out), size(dy), low, high, is_single(dy))
    make(run_clip_backward, &call, sizeof(call), 2, (dy, saved, out))
