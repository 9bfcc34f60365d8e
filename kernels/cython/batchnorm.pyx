"""Batch normalisation (Ioffe & Szegedy 2015) over the rows of a 2-D array, followed by an optional activation."""

cimport numpy as cnp

from .arrays cimport columns, data, is_single, rows
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


def batch_norm_backward(
    cnp.ndarray dy, cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray mean, cnp.ndarray rstd,
    bint training, int activation, double alpha, cnp.ndarray dx, cnp.ndarray dgamma, cnp.ndarray dbeta
):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    cdef pn_batchnorm_back call
    call.dy, call.x, call.gamma, call.beta = data(dy), data(x), data(gamma), data(beta)
    call.mean, call.rstd = data(mean), data(rstd)
    call.dx, call.dgamma, call.dbeta = data(dx), data(dgamma), data(dbeta)
    call.m, call.n, call.training, call.code, call.alpha = rows(x), columns(x), training, activation, alpha
    call.single = is_single(x)
    if not make(pn_batchnorm_backward, &call, sizeof(call), 6, (dy, x, gamma, beta, mean, rstd, dx, dgamma, dbeta)):
        raise MemoryError(f"no memory for the column sums of batch norm over ({call.m}, {call.n})")
