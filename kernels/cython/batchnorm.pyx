"""Batch normalisation (Ioffe & Szegedy 2015) over the rows of a 2-D array, followed by an optional activation."""

cimport numpy as cnp
from cython cimport floating

from .arrays cimport columns, data, is_single, rows, size
from .calls cimport import_runtime, make

cnp.import_array()
import_runtime()

cdef extern from "norm/batchnorm.h" nogil:
    ctypedef struct pn_batchnorm:
        const void* x
        const void* gamma
        const void* beta
        void* running_mean
        void* running_var
        void* y
        void* mean
        void* rstd
        Py_ssize_t m
        Py_ssize_t n
        double momentum
        double eps
        int training
        int code
        double alpha
        int single
    ctypedef struct pn_batchnorm_back:
        const void* dy
        const void* x
        const void* gamma
        const void* beta
        const void* mean
        const void* rstd
        const void* means
        void* dx
        void* dgamma
        void* dbeta
        Py_ssize_t m
        Py_ssize_t n
        int training
        int code
        double alpha
        int single
    int pn_batchnorm_forward(void* call) noexcept
    int pn_batchnorm_backward(void* call) noexcept


def batch_norm(
    cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray running_mean, cnp.ndarray running_var,
    double momentum, double eps, bint training, int activation, double alpha, cnp.ndarray out, cnp.ndarray mean,
    cnp.ndarray rstd
):
    """Write f(gamma * (x - mean) * rstd + beta) to `out`; store the statistics used in `mean` and `rstd`.

    In training, the statistics are those of the batch (variance over n), and the running statistics are updated
    (variance over n - 1): running = (1 - momentum) * running + momentum * batch. Otherwise the running statistics
    are used.
    """
    cdef pn_batchnorm call
    call.x, call.gamma, call.beta = data(x), data(gamma), data(beta)
    call.running_mean, call.running_var = data(running_mean), data(running_var)
    call.y, call.mean, call.rstd = data(out), data(mean), data(rstd)
    call.m, call.n, call.momentum, call.eps = rows(x), columns(x), momentum, eps
    call.training, call.code, call.alpha, call.single = training, activation, alpha, is_single(x)
    if not make(
        pn_batchnorm_forward, &call, sizeof(call), 5, (x, gamma, beta, running_mean, running_var, out, mean, rstd)
    ):
        raise MemoryError(f"no memory for the column sums of batch norm over ({call.m}, {call.n})")


cdef int backward(
    cnp.ndarray dy, cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray mean, cnp.ndarray rstd,
    cnp.ndarray means, bint training, int activation, double alpha, cnp.ndarray dx, cnp.ndarray dgamma,
    cnp.ndarray dbeta
) except -1:
    cdef pn_batchnorm_back call
    cdef tuple arrays = (dy, x, gamma, beta, mean, rstd, means, dx, dgamma, dbeta)
    call.dy, call.x, call.gamma, call.beta = data(dy), data(x), data(gamma), data(beta)
    call.mean, call.rstd, call.means = data(mean), data(rstd), data(means)
    call.dx, call.dgamma, call.dbeta = data(dx), data(dgamma), data(dbeta)
    call.m, call.n, call.training, call.code, call.alpha = rows(x), columns(x), training, activation, alpha
    call.single = is_single(x)
    if not make(pn_batchnorm_backward, &call, sizeof(call), 7, arrays):
        raise MemoryError(f"no memory for the column sums of batch norm over ({call.m}, {call.n})")
    return 0


def batch_norm_backward(
    cnp.ndarray dy, cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray mean, cnp.ndarray rstd,
    bint training, int activation, double alpha, cnp.ndarray dx, cnp.ndarray dgamma, cnp.ndarray dbeta
):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    backward(dy, x, gamma, beta, mean, rstd, None, training, activation, alpha, dx, dgamma, dbeta)


def batch_norm_input_gradient(
    cnp.ndarray dy, cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray mean, cnp.ndarray rstd,
    cnp.ndarray means, int activation, double alpha, cnp.ndarray dx
):
    """Write dx of training; `means`, (2, features), are those of dz z and of dz, z the normalised input."""
    backward(dy, x, gamma, beta, mean, rstd, means, True, activation, alpha, dx, None, None)


cdef struct Merge:
    const void* moments
    const double* counts
    void* running_mean
    void* running_var
    void* mean
    void* var
    Py_ssize_t parts
    Py_ssize_t n
    Py_ssize_t each
    double momentum
    double eps
    bint single


cdef void merge_columns(
    const floating* moments, floating* running_mean, floating* running_var, floating* mean, floating* var,
    const Merge* c
) noexcept nogil:
    cdef Py_ssize_t part, j
    cdef double total = 0, centre, spread, count, distance, rstd
    cdef const floating* means
    for part in range(c.parts):
        total += c.counts[part] * c.each
    for j in range(c.n):
        centre = spread = 0
        for part in range(c.parts):
            if c.counts[part] > 0:
                centre += c.counts[part] * c.each / total * moments[2 * part * c.n + j]
        for part in range(c.parts):
            count = c.counts[part] * c.each
            if count > 0:
                means = moments + 2 * part * c.n
                distance = means[j] - centre
                distance *= distance
                if count > 1:
                    rstd = means[c.n + j]
                    distance += max(1 / (rstd * rstd) - c.eps, 0.0)
                spread += count / total * distance
        mean[j], var[j] = <floating>centre, <floating>spread
        running_mean[j] = <floating>((1 - c.momentum) * running_mean[j] + c.momentum * centre)
        running_var[j] = <floating>((1 - c.momentum) * running_var[j] + c.momentum * (total / (total - 1) * spread))


cdef int run_merge(void* argument) noexcept nogil:
    cdef Merge* c = <Merge*>argument
    if c.single:
        merge_columns(
            <float*>c.moments, <float*>c.running_mean, <float*>c.running_var, <float*>c.mean, <float*>c.var, c
        )
    else:
        merge_columns(
            <double*>c.moments, <double*>c.running_mean, <double*>c.running_var, <double*>c.mean, <double*>c.var, c
        )
    return 0


def merge_statistics(
    cnp.ndarray moments, cnp.ndarray counts, Py_ssize_t each, cnp.ndarray running_mean, cnp.ndarray running_var,
    double momentum, double eps, cnp.ndarray mean, cnp.ndarray var
):
    """Write mean and variance of all rows, given those of parts, and update the running statistics with them.

    `moments` is (parts, 2, features): the mean and 1 / sqrt(var + eps) of each part. `counts`, float64 (parts,), are
    its rows, of `each` elements per feature; a part without rows is left out; one of a single element has variance 0.
    """
    cdef Merge call = Merge(
        data(moments), <double*>data(counts), data(running_mean), data(running_var), data(mean), data(var),
        rows(moments), size(mean), each, momentum, eps, is_single(mean)
    )
    make(run_merge, &call, sizeof(call), 4, (moments, counts, running_mean, running_var, mean, var))


cdef struct Means:
    const void* sums
    void* means
    Py_ssize_t parts
    Py_ssize_t n
    double count
    bint single


cdef void add_parts(const floating* sums, floating* means, const Means* c) noexcept nogil:
    cdef Py_ssize_t part, j
    cdef double total
    for j in range(c.n):
        total = 0
        for part in range(c.parts):
            total += sums[part * c.n + j]
        means[j] = <floating>(total / c.count)


cdef int run_means(void* argument) noexcept nogil:
    cdef Means* c = <Means*>argument
    if c.single:
        add_parts(<float*>c.sums, <float*>c.means, c)
    else:
        add_parts(<double*>c.sums, <double*>c.means, c)
    return 0


def merge_gradients(cnp.ndarray sums, double count, cnp.ndarray means):
    """Write the sum over the parts, divided by `count`; `sums` is (parts, 2, features), `means` (2, features)."""
    cdef Means call = Means(data(sums), data(means), rows(sums), size(means), count, is_single(means))
    make(run_means, &call, sizeof(call), 1, (sums, means))
