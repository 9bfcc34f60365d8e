"""Activations and their derivatives."""

cimport numpy as cnp
from cython cimport floating

from .arrays cimport columns, data, is_single, rows, size
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


cdef void prelu_rows(
    const floating* x, const floating* slope, Py_ssize_t per_unit, floating* y, Py_ssize_t m, Py_ssize_t n,
    Py_ssize_t positions
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef floating v, s = 0 if per_unit else slope[0]
    if positions == 1:
        for i in range(m):
            for j in range(n):
                v = x[i * n + j]
                if per_unit:
                    s = slope[j]
                y[i * n + j] = s * v if v < 0 else v
        return
    for i in range(m * n):
        if per_unit:
            s = slope[i % n]
        for j in range(i * positions, (i + 1) * positions):
            y[j] = s * x[j] if x[j] < 0 else x[j]


cdef struct Prelu:
    void* x
    void* slope
    void* y
    Py_ssize_t m
    Py_ssize_t n
    Py_ssize_t positions
    Py_ssize_t per_unit
    bint single


cdef int run_prelu(void* argument) noexcept nogil:
    cdef Prelu* c = <Prelu*>argument
    if c.single:
        prelu_rows(<float*>c.x, <float*>c.slope, c.per_unit, <float*>c.y, c.m, c.n, c.positions)
    else:
        prelu_rows(<double*>c.x, <double*>c.slope, c.per_unit, <double*>c.y, c.m, c.n, c.positions)
    return 0


def prelu(cnp.ndarray x, cnp.ndarray slope, cnp.ndarray out):
    """Write x where x >= 0, else slope * x; `x` is (n, units, positions), `slope` has one entry, or one per unit."""
    cdef Prelu call = Prelu(
        data(x), data(slope), data(out), rows(x), columns(x), cnp.PyArray_DIM(x, 2), size(slope) != 1, is_single(x)
    )
    make(run_prelu, &call, sizeof(call), 2, (x, slope, out))


cdef void prelu_backward_rows(
    const floating* dy, const floating* x, const floating* slope, Py_ssize_t per_unit, floating* dx, floating* dslope,
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t positions
) noexcept nogil:
    cdef Py_ssize_t i, j, at
    cdef floating v, d, s = 0 if per_unit else slope[0]
    cdef double total
    # Units in the outer loop, so that each sum stays in a float64 register: the slope's gradient sums over the batch.
    cdef double all_units = 0
    for j in range(n):
        total = 0
        if per_unit:
            s = slope[j]
        for i in range(m):
            for at in range((i * n + j) * positions, (i * n + j + 1) * positions):
                v = x[at]
                d = dy[at]
                total += <double>d * v if v < 0 else 0
                dx[at] = s * d if v < 0 else d
        all_units += total
        if per_unit:
            dslope[j] = <floating>total
    if not per_unit:
        dslope[0] = <floating>all_units


cdef struct PreluBackward:
    void* dy
    void* x
    void* slope
    void* dx
    void* dslope
    Py_ssize_t m
    Py_ssize_t n
    Py_ssize_t positions
    Py_ssize_t per_unit
    bint single


cdef int run_prelu_backward(void* argument) noexcept nogil:
    cdef PreluBackward* c = <PreluBackward*>argument
    if c.single:
        prelu_backward_rows(
            <float*>c.dy, <float*>c.x, <float*>c.slope, c.per_unit, <float*>c.dx, <float*>c.dslope, c.m, c.n,
            c.positions
        )
    else:
        prelu_backward_rows(
            <double*>c.dy, <double*>c.x, <double*>c.slope, c.per_unit, <double*>c.dx, <double*>c.dslope, c.m, c.n,
            c.positions
        )
    return 0


def prelu_backward(cnp.ndarray dy, cnp.ndarray x, cnp.ndarray slope, cnp.ndarray dx, cnp.ndarray dslope):
    """Write dx, and dslope = the sum of dy * x over negative x (per unit, or over all for a single slope)."""
    cdef PreluBackward call = PreluBackward(
        data(dy), data(x), data(slope), data(dx), data(dslope), rows(x), columns(x), cnp.PyArray_DIM(x, 2),
        size(slope) != 1, is_single(x)
    )
    make(run_prelu_backward, &call, sizeof(call), 3, (dy, x, slope, dx, dslope))


cdef inline bint beats(floating candidate, floating best) noexcept nogil:
    # NaN wins over every number, and the first NaN is kept, as in numpy.argmax.
    return candidate > best or (candidate != candidate and best == best)


cdef void maxout_rows(
    const floating* x, Py_ssize_t pieces, floating* y, Py_ssize_t m, Py_ssize_t units
) noexcept nogil:
    cdef Py_ssize_t i, j, u
    cdef const floating* row
    cdef floating* best
    for i in range(m):
        row = x + i * pieces * units
        best = y + i * units
        for u in range(units):
            best[u] = row[u]
        for j in range(1, pieces):
            row = x + (i * pieces + j) * units
            for u in range(units):
                best[u] = row[u] if beats(row[u], best[u]) else best[u]


cdef struct Maxout:
    void* x
    void* y
    Py_ssize_t pieces
    Py_ssize_t m
    Py_ssize_t units
    bint single


cdef int run_maxout(void* argument) noexcept nogil:
    cdef Maxout* c = <Maxout*>argument
    if c.single:
        maxout_rows(<float*>c.x, c.pieces, <float*>c.y, c.m, c.units)
    else:
        maxout_rows(<double*>c.x, c.pieces, <double*>c.y, c.m, c.units)
    return 0


def maxout(cnp.ndarray x, Py_ssize_t pieces, cnp.ndarray out):
    """Write the maximum over pieces: out[n, u] = max_j x[n, j * units + u]."""
    cdef Maxout call = Maxout(data(x), data(out), pieces, rows(x), columns(out), is_single(x))
    make(run_maxout, &call, sizeof(call), 1, (x, out))


cdef void maxout_backward_rows(
    const floating* dy, const floating* x, Py_ssize_t pieces, floating* dx, Py_ssize_t m, Py_ssize_t units
) noexcept nogil:
    cdef Py_ssize_t i, j, u, winner
    cdef const floating* row
    cdef floating* target
    for i in range(m):
        row = x + i * pieces * units
        target = dx + i * pieces * units
        for u in range(units):
            winner = 0
            for j in range(1, pieces):
                if beats(row[j * units + u], row[winner * units + u]):
                    winner = j
            for j in range(pieces):
                target[j * units + u] = 0
            target[winner * units + u] = dy[i * units + u]


cdef struct MaxoutBackward:
    void* dy
    void* x
    void* dx
    Py_ssize_t pieces
    Py_ssize_t m
    Py_ssize_t units
    bint single


cdef int run_maxout_backward(void* argument) noexcept nogil:
    cdef MaxoutBackward* c = <MaxoutBackward*>argument
    if c.single:
        maxout_backward_rows(<float*>c.dy, <float*>c.x, c.pieces, <float*>c.dx, c.m, c.units)
    else:
        maxout_backward_rows(<double*>c.dy, <double*>c.x, c.pieces, <double*>c.dx, c.m, c.units)
    return 0


def maxout_backward(cnp.ndarray dy, cnp.ndarray x, Py_ssize_t pieces, cnp.ndarray dx):
    """Pass dy to the piece that was the maximum (the first on ties), 0 to the others."""
    cdef MaxoutBackward call = MaxoutBackward(
        data(dy), data(x), data(dx), pieces, rows(dy), columns(dy), is_single(dy)
    )
    make(run_maxout_backward, &call, sizeof(call), 2, (dy, x, dx))
