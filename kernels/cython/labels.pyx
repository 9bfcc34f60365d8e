"""The check of targets, and the number of rows whose largest score is at their label."""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport NAN

from .arrays cimport columns, data, int64, is_single, rows, size
from .calls cimport import_runtime, make

cnp.import_array()
import_runtime()


cdef Py_ssize_t correct_rows(
    const floating* scores, const int64* targets, int64 ignore_index, Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t i, c, correct = 0
    cdef const floating* row
    cdef floating own
    cdef bint beaten
    for i in range(m):
        if targets[i] == ignore_index or not 0 <= targets[i] < n:
            continue
        row = scores + i * n
        own = row[targets[i]]
        beaten = own != own  # by an earlier score at least as large, a later larger one, or a NaN anywhere
        for c in range(targets[i]):
            beaten |= not row[c] < own
        for c in range(targets[i] + 1, n):
            beaten |= not row[c] <= own
        correct += not beaten
    return correct


def count_correct(cnp.ndarray scores, cnp.ndarray targets, int64 ignore_index):
    """Return the number of rows whose largest score (the first on ties) is at the target; NaN rows do not count."""
    cdef Py_ssize_t m = rows(scores), n = columns(scores), correct
    cdef int64* ptargets = <int64*>data(targets)
    cdef void* pscores = data(scores)
    if is_single(scores):
        with nogil:
            correct = correct_rows(<float*>pscores, ptargets, ignore_index, m, n)
    else:
        with nogil:
            correct = correct_rows(<double*>pscores, ptargets, ignore_index, m, n)
    return correct


cdef struct Correct:
    void* scores
    int64* targets
    double* out
    int64 ignore_index
    Py_ssize_t m
    Py_ssize_t n
    bint single


cdef int run_share_correct(void* argument) noexcept nogil:
    cdef Correct* c = <Correct*>argument
    cdef Py_ssize_t i, correct, counted = 0
    if c.single:
        correct = correct_rows(<float*>c.scores, c.targets, c.ignore_index, c.m, c.n)
    else:
        correct = correct_rows(<double*>c.scores, c.targets, c.ignore_index, c.m, c.n)
    for i in range(c.m):
        counted += c.targets[i] != c.ignore_index
    c.out[0] = <double>correct / counted if counted else NAN
    return 0


def share_correct(cnp.ndarray scores, cnp.ndarray targets, int64 ignore_index, cnp.ndarray out):
    """Write to ``out[0]`` the share of the rows that are not ignored whose largest score is at the target."""
    cdef Correct call = Correct(
        data(scores), <int64*>data(targets), <double*>data(out), ignore_index, rows(scores), columns(scores),
        is_single(scores)
    )
    make(run_share_correct, &call, sizeof(call), 2, (scores, targets, out))


cdef struct Labels:
    int64* targets
    Py_ssize_t n
    int64 classes
    int64 ignore_index
    Py_ssize_t bad


cdef int run_first_bad_label(void* argument) noexcept nogil:
    cdef Labels* c = <Labels*>argument
    cdef Py_ssize_t i
    c.bad = -1
    for i in range(c.n):
        if not (0 <= c.targets[i] < c.classes or c.targets[i] == c.ignore_index):
            c.bad = i
            return -1
    return 0


def first_bad_label(cnp.ndarray targets, int64 classes, int64 ignore_index):
    """Return the first row whose target is neither `ignore_index` nor in [0, classes), or -1."""
    cdef Labels call = Labels(<int64*>data(targets), rows(targets), classes, ignore_index, -1)
    make(run_first_bad_label, &call, sizeof(call), 1, (targets,))
    return call.bad


cdef Py_ssize_t first_outside_of(const floating* x, Py_ssize_t n, double largest) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        if not 0 <= x[i] <= largest:
            return i
    return -1


cdef struct Shares:
    void* x
    Py_ssize_t n
    double largest
    bint single
    Py_ssize_t bad


cdef int run_first_outside(void* argument) noexcept nogil:
    cdef Shares* c = <Shares*>argument
    c.bad = (
        first_outside_of(<float*>c.x, c.n, c.largest) if c.single else first_outside_of(<double*>c.x, c.n, c.largest)
    )
    return -1 if c.bad >= 0 else 0


def first_outside(cnp.ndarray x, double largest):
    """Return the first flat index at which `x` is not in [0, largest], or -1."""
    cdef Shares call = Shares(data(x), size(x), largest, is_single(x), -1)
    make(run_first_outside, &call, sizeof(call), 1, (x,))
    return call.bad
