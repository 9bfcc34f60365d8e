"""Per-channel kernels for arrays (n, channels, positions): batch norm, sums, statistics."""

cimport numpy as cnp
from cython cimport floating

from .arrays cimport data, is_single
from .calls cimport import_runtime, make
from .reductions cimport row_sum

cnp.import_array()
import_runtime()

cdef extern from "norm/channels.h" nogil:
    ctypedef struct pn_channel_norm:
        const void* x
        const void* gamma
        const void* beta
        void* running_mean
        void* running_var
        void* y
        void* mean
        void* rstd
        Py_ssize_t n
        Py_ssize_t channels
        Py_ssize_t size
        double momentum
        double eps
        int training
        int code
        double alpha
        int single
    ctypedef struct pn_channel_norm_back:
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
        Py_ssize_t n
        Py_ssize_t channels
        Py_ssize_t size
        int training
        int code
        double alpha
        int single
    int pn_channel_norm_forward(void* call) noexcept
    int pn_channel_norm_backward(void* call) noexcept
    void pn_row_stats_f32(const float* x, Py_ssize_t n, float centre, float limit, double* four)
    void pn_row_stats_f64(const double* x, Py_ssize_t n, double centre, double limit, double* four)


cdef inline Py_ssize_t dimension(cnp.ndarray x, int axis) noexcept:
    return cnp.PyArray_DIM(x, axis)


def batchnorm_channels(
    cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray running_mean, cnp.ndarray running_var,
    double momentum, double eps, bint training, int activation, double alpha, cnp.ndarray out, cnp.ndarray mean,
    cnp.ndarray rstd
):
    """Write f(gamma * (x - mean) * rstd + beta) to `out`; store the statistics used per channel in `mean` and `rstd`.

    In training, the statistics are those of the batch (variance over the count), and the running statistics are
    updated (variance over the count - 1): running = (1 - momentum) * running + momentum * batch. Otherwise the running
    statistics are used.
    """
    cdef pn_channel_norm call
    call.x, call.gamma, call.beta = data(x), data(gamma), data(beta)
    call.running_mean, call.running_var = data(running_mean), data(running_var)
    call.y, call.mean, call.rstd = data(out), data(mean), data(rstd)
    call.n, call.channels, call.size = dimension(x, 0), dimension(x, 1), dimension(x, 2)
    call.momentum, call.eps, call.training = momentum, eps, training
    call.code, call.alpha, call.single = activation, alpha, is_single(x)
    make(pn_channel_norm_forward, &call, sizeof(call), 5, (x, gamma, beta, running_mean, running_var, out, mean, rstd))


cdef int backward(
    cnp.ndarray dy, cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray mean, cnp.ndarray rstd,
    cnp.ndarray means, bint training, int activation, double alpha, cnp.ndarray dx, cnp.ndarray dgamma,
    cnp.ndarray dbeta
) except -1:
    cdef pn_channel_norm_back call
    cdef tuple arrays = (dy, x, gamma, beta, mean, rstd, means, dx, dgamma, dbeta)
    call.dy, call.x, call.gamma, call.beta = data(dy), data(x), data(gamma), data(beta)
    call.mean, call.rstd, call.means = data(mean), data(rstd), data(means)
    call.dx, call.dgamma, call.dbeta = data(dx), data(dgamma), data(dbeta)
    call.n, call.channels, call.size = dimension(x, 0), dimension(x, 1), dimension(x, 2)
    call.training, call.code, call.alpha, call.single = training, activation, alpha, is_single(x)
    make(pn_channel_norm_backward, &call, sizeof(call), 7, arrays)
    return 0


def batchnorm_channels_backward(
    cnp.ndarray dy, cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray mean, cnp.ndarray rstd,
    bint training, int activation, double alpha, cnp.ndarray dx, cnp.ndarray dgamma, cnp.ndarray dbeta
):
    """Write dx, dgamma and dbeta; the pre-activation is recomputed, not stored. `dx` may be None."""
    backward(dy, x, gamma, beta, mean, rstd, None, training, activation, alpha, dx, dgamma, dbeta)


def batchnorm_channels_input_gradient(
    cnp.ndarray dy, cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray mean, cnp.ndarray rstd,
    cnp.ndarray means, int activation, double alpha, cnp.ndarray dx
):
    """Write dx of training; `means`, (2, channels), are those of dz z and of dz, z the normalised input."""
    backward(dy, x, gamma, beta, mean, rstd, means, True, activation, alpha, dx, None, None)


cdef struct ChannelSum:
    void* x
    void* out
    Py_ssize_t n
    Py_ssize_t channels
    Py_ssize_t size
    bint single


cdef int run_channel_sum(void* argument) noexcept nogil:
    cdef ChannelSum* s = <ChannelSum*>argument
    cdef Py_ssize_t c, i, at
    cdef double total
    for c in range(s.channels):
        total = 0
        for i in range(s.n):
            at = (i * s.channels + c) * s.size
            if s.single:
                total += row_sum(<float*>s.x + at, s.size)
            else:
                total += row_sum(<double*>s.x + at, s.size)
        if s.single:
            (<float*>s.out)[c] = <float>total
        else:
            (<double*>s.out)[c] = total
    return 0


def channel_sum(cnp.ndarray x, cnp.ndarray out):
    """Write the sum over each channel to `out`."""
    cdef ChannelSum call = ChannelSum(
        data(x), data(out), dimension(x, 0), dimension(x, 1), dimension(x, 2), is_single(x)
    )
    make(run_channel_sum, &call, sizeof(call), 1, (x, out))


cdef struct ChannelAdd:
    void* x
    void* bias
    Py_ssize_t n
    Py_ssize_t channels
    Py_ssize_t size
    bint single


cdef void add_constant(floating* x, Py_ssize_t n, floating value) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        x[i] += value


cdef int run_add_to_channels(void* argument) noexcept nogil:
    cdef ChannelAdd* a = <ChannelAdd*>argument
    cdef Py_ssize_t row
    for row in range(a.n * a.channels):
        if a.single:
            add_constant(<float*>a.x + row * a.size, a.size, (<float*>a.bias)[row % a.channels])
        else:
            add_constant(<double*>a.x + row * a.size, a.size, (<double*>a.bias)[row % a.channels])
    return 0


def add_to_channels(cnp.ndarray x, cnp.ndarray bias):
    """Add bias[c] to each element of channel c, in place."""
    cdef ChannelAdd call = ChannelAdd(
        data(x), data(bias), dimension(x, 0), dimension(x, 1), dimension(x, 2), is_single(x)
    )
    make(run_add_to_channels, &call, sizeof(call), 2, (x, bias))


cdef struct ChannelStats:
    void* y
    double* stats
    double* total
    double centre
    double limit
    Py_ssize_t n
    Py_ssize_t channels
    Py_ssize_t size
    bint single


cdef int run_channel_stats(void* argument) noexcept nogil:
    cdef ChannelStats* s = <ChannelStats*>argument
    cdef double four[4]
    cdef double total[4]
    cdef Py_ssize_t c, i, at
    cdef int k
    for k in range(4):
        total[k] = 0
    for c in range(s.channels):
        for k in range(4):
            four[k] = 0
        for i in range(s.n):
            at = (i * s.channels + c) * s.size
            if s.single:
                pn_row_stats_f32(<float*>s.y + at, s.size, <float>s.centre, <float>s.limit, four)
            else:
                pn_row_stats_f64(<double*>s.y + at, s.size, s.centre, s.limit, four)
        for k in range(4):
            s.stats[k * s.channels + c] += four[k]
            total[k] += four[k]
    if s.total != NULL:
        for k in range(4):
            s.total[k] = total[k]
    return 0


def channel_stats(cnp.ndarray y, double centre, double limit, cnp.ndarray stats, cnp.ndarray total):
    """Add each channel's sum, sum of squares, active count and saturated count to the four rows of `stats`.

    Active means y > 0, saturated further than `limit` from `centre` (see `codes.saturation`). `total`, unless None,
    receives this call's four sums over all channels.
    """
    cdef ChannelStats call = ChannelStats(
        data(y), <double*>data(stats), <double*>data(total), centre, limit, dimension(y, 0), dimension(y, 1),
        dimension(y, 2), is_single(y)
    )
    make(run_channel_stats, &call, sizeof(call), 2, (y, stats, total))
