"""Batch normalisation (Ioffe & Szegedy 2015) over the rows of a 2-D array, with an optional activation behind it."""

cimport numpy as cnp

from .arrays cimport columns, data, is_single, rows

cnp.import_array()

cdef extern from "batchnorm.h" nogil:
    int pn_batchnorm_forward_f32(
        const float* x, const float* gamma, const float* beta, float* running_mean, float* running_var,
        double momentum, double eps, int training, int code, float alpha, float* y, float* mean, float* rstd,
        Py_ssize_t m, Py_ssize_t n
    )
    int pn_batchnorm_forward_f64(
        const double* x, const double* gamma, const double* beta, double* running_mean, double* running_var,
        double momentum, double eps, int training, int code, double alpha, double* y, double* mean, double* rstd,
        Py_ssize_t m, Py_ssize_t n
    )
    int pn_batchnorm_backward_f32(
        const float* dy, const float* x, const float* gamma, const float* beta, const float* mean, const float* rstd,
        int training, int code, float alpha, float* dx, float* dgamma, float* dbeta, int accumulate, Py_ssize_t m,
        Py_ssize_t n
    )
    int pn_batchnorm_backward_f64(
        const double* dy, const double* x, const double* gamma, const double* beta, const double* mean,
        const double* rstd, int training, int code, double alpha, double* dx, double* dgamma, double* dbeta,
        int accumulate, Py_ssize_t m, Py_ssize_t n
    )


def batchnorm_forward(
    cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray running_mean, cnp.ndarray running_var,
    double momentum, double eps, bint training, int activation, double alpha, cnp.ndarray out, cnp.ndarray mean,
    cnp.ndarray rstd
):
    """Write f(gamma * (x - mean) * rstd + beta) to `out`, and the statistics used to `mean` and `rstd`.

    In training the statistics are the batch's (variance over n) and the running ones move towards them
    (variance over n - 1): running = (1 - momentum) * running + momentum * batch. Otherwise the running ones are used.
    """
    cdef Py_ssize_t m = rows(x), n = columns(x)
    cdef void* px = data(x)
    cdef void* pgamma = data(gamma)
    cdef void* pbeta = data(beta)
    cdef void* prm = data(running_mean)
    cdef void* prv = data(running_var)
    cdef void* py = data(out)
    cdef void* pmean = data(mean)
    cdef void* prstd = data(rstd)
    cdef int failed
    if is_single(x):
        with nogil:
            failed = pn_batchnorm_forward_f32(
                <float*>px, <float*>pgamma, <float*>pbeta, <float*>prm, <float*>prv, momentum, eps, training,
                activation, <float>alpha, <float*>py, <float*>pmean, <float*>prstd, m, n
            )
    else:
        with nogil:
            failed = pn_batchnorm_forward_f64(
                <double*>px, <double*>pgamma, <double*>pbeta, <double*>prm, <double*>prv, momentum, eps, training,
                activation, alpha, <double*>py, <double*>pmean, <double*>prstd, m, n
            )
    if failed:
        raise MemoryError(f"no memory for the column sums of batch norm over ({m}, {n})")


def batchnorm_backward(
    cnp.ndarray dy, cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray mean, cnp.ndarray rstd,
    bint training, int activation, double alpha, cnp.ndarray dx, cnp.ndarray dgamma, cnp.ndarray dbeta, bint accumulate
):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    cdef Py_ssize_t m = rows(x), n = columns(x)
    cdef void* pdy = data(dy)
    cdef void* px = data(x)
    cdef void* pgamma = data(gamma)
    cdef void* pbeta = data(beta)
    cdef void* pmean = data(mean)
    cdef void* prstd = data(rstd)
    cdef void* pdx = data(dx)
    cdef void* pdgamma = data(dgamma)
    cdef void* pdbeta = data(dbeta)
    cdef int failed
    if is_single(x):
        with nogil:
            failed = pn_batchnorm_backward_f32(
                <float*>pdy, <float*>px, <float*>pgamma, <float*>pbeta, <float*>pmean, <float*>prstd, training,
                activation, <float>alpha, <float*>pdx, <float*>pdgamma, <float*>pdbeta, accumulate, m, n
            )
    else:
        with nogil:
            failed = pn_batchnorm_backward_f64(
                <double*>pdy, <double*>px, <double*>pgamma, <double*>pbeta, <double*>pmean, <double*>prstd, training,
                activation, alpha, <double*>pdx, <double*>pdgamma, <double*>pdbeta, accumulate, m, n
            )
    if failed:
        raise MemoryError(f"no memory for the column sums of batch norm over ({m}, {n})")
