"""Statistics of a watched training step: outputs per unit, the size of a gradient, the signs within its columns."""

cimport numpy as cnp

from .arrays cimport columns, data, is_single, rows, size
from .calls cimport import_runtime, make

cnp.import_array()
import_runtime()

cdef extern from "stats/stats.h" nogil:
    void pn_unit_stats_f32(
        const float* y, Py_ssize_t m, Py_ssize_t n, double centre, double limit, double* stats, double* total
    )
    void pn_unit_stats_f64(
        const double* y, Py_ssize_t m, Py_ssize_t n, double centre, double limit, double* stats, double* total
    )
    double pn_one_signed_f32(const float* g, Py_ssize_t m, Py_ssize_t n)
    double pn_one_signed_f64(const double* g, Py_ssize_t m, Py_ssize_t n)
    double pn_square_sum_by_blocks_f32(const float* x, Py_ssize_t n)
    double pn_square_sum_by_blocks_f64(const double* x, Py_ssize_t n)


cdef struct UnitStats:
    void* y
    double* stats
    double* total
    double centre
    double limit
    Py_ssize_t m
    Py_ssize_t n
    bint single


cdef int run_unit_stats(void* argument) noexcept nogil:
    cdef UnitStats* c = <UnitStats*>argument
    cdef double total[4]
    cdef int i
    for i in range(4):
        total[i] = 0
    if c.single:
        pn_unit_stats_f32(<float*>c.y, c.m, c.n, c.centre, c.limit, c.stats, total)
    else:
        pn_unit_stats_f64(<double*>c.y, c.m, c.n, c.centre, c.limit, c.stats, total)
    if c.total != NULL:
        for i in range(4):
            c.total[i] = total[i]
    return 0


def unit_stats(cnp.ndarray y, double centre, double limit, cnp.ndarray stats, cnp.ndarray total):
    """Add the sum, sum of squares, active count and saturated count of each column of `y` (2-D) to the rows of `stats`.

    Active means y > 0, saturated further than `limit` from `centre` (see `codes.saturation`). `total`, unless None,
    receives this call's four sums over all columns.
    """
    cdef UnitStats call = UnitStats(
        data(y), <double*>data(stats), <double*>data(total), centre, limit, rows(y), columns(y), is_single(y)
    )
    make(run_unit_stats, &call, sizeof(call), 2, (y, stats, total))


cdef struct Reduction:
    void* x
    double* out
    Py_ssize_t m
    Py_ssize_t n
    bint single


cdef int run_square_sum(void* argument) noexcept nogil:
    cdef Reduction* c = <Reduction*>argument
    if c.single:
        c.out[0] = pn_square_sum_by_blocks_f32(<float*>c.x, c.n)
    else:
        c.out[0] = pn_square_sum_by_blocks_f64(<double*>c.x, c.n)
    return 0


def square_sum(cnp.ndarray x, cnp.ndarray out):
    """Write the sum of squares of `x` to ``out[0]``."""
    cdef Reduction call = Reduction(data(x), <double*>data(out), 1, size(x), is_single(x))
    make(run_square_sum, &call, sizeof(call), 1, (x, out))


cdef int run_one_signed(void* argument) noexcept nogil:
    cdef Reduction* c = <Reduction*>argument
    if c.single:
        c.out[0] = pn_one_signed_f32(<float*>c.x, c.m, c.n)
    else:
        c.out[0] = pn_one_signed_f64(<double*>c.x, c.m, c.n)
    return 0


def one_signed(cnp.ndarray grad, cnp.ndarray out):
    """Write to ``out[0]`` the share of columns whose nonzero values all have one sign, among columns that have any."""
    cdef Reduction call = Reduction(data(grad), <double*>data(out), rows(grad), columns(grad), is_single(grad))
    make(run_one_signed, &call, sizeof(call), 1, (grad, out))
