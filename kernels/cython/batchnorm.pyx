"""Batch normalisation (Ioffe & Szegedy 2015) over the rows of a 2-D array, with an optional activation behind it."""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport sqrt

from .arrays cimport columns, data, is_single, rows
from .elementwise cimport PN_IDENTITY, activate_backward_span, activate_span, saved_from_input

cnp.import_array()

cdef enum:
    STRIP = 64  # columns worked on at a time: while the batch is small, the strip stays in L1 through all passes
    BLOCK = 64  # rows summed in the array's own precision before the sum is added in float64


cdef void sum_strip(const floating* x, Py_ssize_t m, Py_ssize_t n, Py_ssize_t width, double* total) noexcept nogil:
    cdef floating part[STRIP]
    cdef Py_ssize_t i, j, block, first, last
    for j in range(width):
        total[j] = 0
    for block in range((m + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        last = min(first + BLOCK, m)
        for j in range(width):
            part[j] = 0
        for i in range(first, last):
            for j in range(width):
                part[j] += x[i * n + j]
        for j in range(width):
            total[j] += part[j]


cdef void sum_squares_strip(
    const floating* x, const floating* mean, Py_ssize_t m, Py_ssize_t n, Py_ssize_t width, double* total
) noexcept nogil:
    cdef floating part[STRIP]
    cdef floating centred
    cdef Py_ssize_t i, j, block, first, last
    for j in range(width):
        total[j] = 0
    for block in range((m + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        last = min(first + BLOCK, m)
        for j in range(width):
            part[j] = 0
        for i in range(first, last):
            for j in range(width):
                centred = x[i * n + j] - mean[j]
                part[j] += centred * centred
        for j in range(width):
            total[j] += part[j]


cdef void forward_strip(
    const floating* x, const floating* gamma, const floating* beta, floating* running_mean, floating* running_var,
    double momentum, double eps, bint training, int code, floating alpha, floating* y, floating* mean, floating* rstd,
    Py_ssize_t m, Py_ssize_t n, Py_ssize_t width
) noexcept nogil:
    cdef double total[STRIP]
    cdef floating centre[STRIP]
    cdef floating scale[STRIP]
    cdef floating shift[STRIP]
    cdef double var
    cdef Py_ssize_t i, j
    if training:
        sum_strip(x, m, n, width, total)
        for j in range(width):
            centre[j] = <floating>(total[j] / m)
            running_mean[j] = <floating>((1 - momentum) * running_mean[j] + momentum * centre[j])
        sum_squares_strip(x, centre, m, n, width, total)
        for j in range(width):
            var = total[j] / m
            running_var[j] = <floating>((1 - momentum) * running_var[j] + momentum * (total[j] / (m - 1)))
            rstd[j] = <floating>(1 / sqrt(var + eps))
    else:
        for j in range(width):
            centre[j] = running_mean[j]
            rstd[j] = <floating>(1 / sqrt(running_var[j] + eps))
    for j in range(width):
        mean[j] = centre[j]
        scale[j] = gamma[j] * rstd[j]
        shift[j] = beta[j]
    for i in range(m):
        for j in range(width):
            y[i * n + j] = (x[i * n + j] - centre[j]) * scale[j] + shift[j]
        if code != PN_IDENTITY:
            activate_span(y + i * n, y + i * n, width, code, alpha)


cdef void forward(
    const floating* x, const floating* gamma, const floating* beta, floating* running_mean, floating* running_var,
    double momentum, double eps, bint training, int code, floating alpha, floating* y, floating* mean, floating* rstd,
    Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t block, c
    for block in range((n + STRIP - 1) // STRIP):
        c = block * STRIP
        forward_strip(
            x + c, gamma + c, beta + c, running_mean + c, running_var + c, momentum, eps, training, code, alpha, y + c,
            mean + c, rstd + c, m, n, min(n - c, <Py_ssize_t>STRIP)
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
    if is_single(x):
        with nogil:
            forward(
                <float*>px, <float*>pgamma, <float*>pbeta, <float*>prm, <float*>prv, momentum, eps, training,
                activation, <float>alpha, <float*>py, <float*>pmean, <float*>prstd, m, n
            )
    else:
        with nogil:
            forward(
                <double*>px, <double*>pgamma, <double*>pbeta, <double*>prm, <double*>prv, momentum, eps, training,
                activation, alpha, <double*>py, <double*>pmean, <double*>prstd, m, n
            )


cdef inline const floating* gradient_row(
    const floating* dy, const floating* x, const floating* centre, const floating* scale, const floating* shift,
    Py_ssize_t width, int code, floating alpha, floating* saved, floating* dz
) noexcept nogil:
    """Return one row of the gradient before the activation: dy itself, or computed into `dz`."""
    cdef Py_ssize_t j
    if code == PN_IDENTITY:
        return dy
    for j in range(width):
        saved[j] = (x[j] - centre[j]) * scale[j] + shift[j]
    saved_from_input(saved, width, code, alpha)
    activate_backward_span(dy, saved, dz, width, code, alpha)
    return dz


cdef void backward_strip(
    const floating* dy, const floating* x, const floating* gamma, const floating* beta, const floating* mean,
    const floating* rstd, bint training, int code, floating alpha, floating* dx, floating* dgamma, floating* dbeta,
    bint accumulate, Py_ssize_t m, Py_ssize_t n, Py_ssize_t width
) noexcept nogil:
    cdef double sum_dz[STRIP]
    cdef double sum_dz_normalised[STRIP]
    cdef floating part_dz[STRIP]
    cdef floating part_normalised[STRIP]
    cdef floating centre[STRIP]
    cdef floating inverse[STRIP]
    cdef floating scale[STRIP]
    cdef floating shift[STRIP]
    cdef floating saved[STRIP]
    cdef floating dz[STRIP]
    cdef const floating* gradient
    cdef Py_ssize_t i, j, block, first
    for j in range(width):
        sum_dz[j] = 0
        sum_dz_normalised[j] = 0
        centre[j] = mean[j]
        inverse[j] = rstd[j]
        scale[j] = gamma[j] * rstd[j]
        shift[j] = beta[j]
    for block in range((m + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        for j in range(width):
            part_dz[j] = 0
            part_normalised[j] = 0
        for i in range(first, min(first + BLOCK, m)):
            gradient = gradient_row(dy + i * n, x + i * n, centre, scale, shift, width, code, alpha, saved, dz)
            for j in range(width):
                part_dz[j] += gradient[j]
                part_normalised[j] += gradient[j] * ((x[i * n + j] - centre[j]) * inverse[j])
        for j in range(width):
            sum_dz[j] += part_dz[j]
            sum_dz_normalised[j] += part_normalised[j]
    for j in range(width):
        dgamma[j] = <floating>(dgamma[j] + sum_dz_normalised[j] if accumulate else sum_dz_normalised[j])
        dbeta[j] = <floating>(dbeta[j] + sum_dz[j] if accumulate else sum_dz[j])
        part_dz[j] = <floating>(sum_dz[j] / m) if training else 0
        part_normalised[j] = <floating>(sum_dz_normalised[j] / m) if training else 0
    if dx == NULL:
        return
    for i in range(m):
        gradient = gradient_row(dy + i * n, x + i * n, centre, scale, shift, width, code, alpha, saved, dz)
        for j in range(width):
            dx[i * n + j] = (
                gradient[j] - part_dz[j] - (x[i * n + j] - centre[j]) * inverse[j] * part_normalised[j]
            ) * scale[j]


cdef void backward(
    const floating* dy, const floating* x, const floating* gamma, const floating* beta, const floating* mean,
    const floating* rstd, bint training, int code, floating alpha, floating* dx, floating* dgamma, floating* dbeta,
    bint accumulate, Py_ssize_t m, Py_ssize_t n
) noexcept nogil:
    cdef Py_ssize_t block, c
    for block in range((n + STRIP - 1) // STRIP):
        c = block * STRIP
        backward_strip(
            dy + c, x + c, gamma + c, beta + c, mean + c, rstd + c, training, code, alpha,
            dx + c if dx != NULL else NULL, dgamma + c, dbeta + c, accumulate, m, n, min(n - c, <Py_ssize_t>STRIP)
        )


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
    if is_single(x):
        with nogil:
            backward(
                <float*>pdy, <float*>px, <float*>pgamma, <float*>pbeta, <float*>pmean, <float*>prstd, training,
                activation, <float>alpha, <float*>pdx, <float*>pdgamma, <float*>pdbeta, accumulate, m, n
            )
    else:
        with nogil:
            backward(
                <double*>pdy, <double*>px, <double*>pgamma, <double*>pbeta, <double*>pmean, <double*>prstd, training,
                activation, alpha, <double*>pdx, <double*>pdgamma, <double*>pdbeta, accumulate, m, n
            )
