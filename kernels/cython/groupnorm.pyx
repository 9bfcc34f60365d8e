"""Group normalisation (Wu & He 2018) of arrays (n, channels, positions).

Layer norm (Ba et al. 2016) is one group; RMS norm (Zhang & Sennrich 2019) is layer norm about 0 instead of the mean.
"""

cimport numpy as cnp

from .arrays cimport data, is_single
from .calls cimport import_runtime, make

cnp.import_array()
import_runtime()

cdef extern from "norm/groupnorm.h" nogil:
    ctypedef struct pn_group_norm:
        const void* x
        const void* gamma
        const void* beta
        void* y
        void* mean
        void* rstd
        Py_ssize_t n
        Py_ssize_t channels
        Py_ssize_t size
        Py_ssize_t groups
        double eps
        int single
    ctypedef struct pn_group_norm_back:
        const void* dy
        const void* x
        const void* gamma
        const void* mean
        const void* rstd
        void* dx
        void* dgamma
        void* dbeta
        Py_ssize_t n
        Py_ssize_t channels
        Py_ssize_t size
        Py_ssize_t groups
        int single
    int pn_group_norm_forward(void* call) noexcept
    int pn_group_norm_backward(void* call) noexcept


def group_norm(
    cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, Py_ssize_t groups, double eps, cnp.ndarray out,
    cnp.ndarray mean, cnp.ndarray rstd
):
    """Write gamma * (x - mean) * rstd + beta to `out`, the statistics per example and group to `mean` and `rstd`.

    The variance divides by the count. gamma and beta (channels,) may both be None. Without `mean` (None) it is 0, and
    there is no beta: RMS norm, of one position.
    """
    cdef pn_group_norm call
    call.x, call.gamma, call.beta = data(x), data(gamma), data(beta)
    call.y, call.mean, call.rstd = data(out), data(mean), data(rstd)
    call.n, call.channels, call.size = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(x, 2)
    call.groups, call.eps, call.single = groups, eps, is_single(x)
    make(pn_group_norm_forward, &call, sizeof(call), 3, (x, gamma, beta, out, mean, rstd))


def group_norm_backward(
    cnp.ndarray dy, cnp.ndarray x, cnp.ndarray gamma, Py_ssize_t groups, cnp.ndarray mean, cnp.ndarray rstd,
    cnp.ndarray dx, cnp.ndarray dgamma, cnp.ndarray dbeta
):
    """Write dx, and unless gamma is None dgamma and dbeta. `dx` may be None; `mean` and dbeta, too, for RMS norm."""
    cdef pn_group_norm_back call
    call.dy, call.x, call.gamma, call.mean, call.rstd = data(dy), data(x), data(gamma), data(mean), data(rstd)
    call.dx, call.dgamma, call.dbeta = data(dx), data(dgamma), data(dbeta)
    call.n, call.channels, call.size = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(x, 2)
    call.groups, call.single = groups, is_single(x)
    if not make(pn_group_norm_backward, &call, sizeof(call), 5, (dy, x, gamma, mean, rstd, dx, dgamma, dbeta)):
        raise MemoryError(f"no memory for the sums of group norm over {call.channels} channels")
