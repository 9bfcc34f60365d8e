"""Convolution over images and its two gradients, by implicit matrix products."""

cimport numpy as cnp

from .arrays cimport data, is_single
from .calls cimport import_runtime, make, pn_kernel

cnp.import_array()
import_runtime()

cdef extern from "conv/conv.h" nogil:
    ctypedef struct pn_conv:
        const void* x
        const void* w
        const void* bias
        void* out
        void* pre
        Py_ssize_t n
        Py_ssize_t channels
        Py_ssize_t height
        Py_ssize_t width
        Py_ssize_t filters
        Py_ssize_t out_height
        Py_ssize_t out_width
        Py_ssize_t kernel_height
        Py_ssize_t kernel_width
        Py_ssize_t stride_y
        Py_ssize_t stride_x
        Py_ssize_t top
        Py_ssize_t left
        Py_ssize_t dilation_y
        Py_ssize_t dilation_x
        Py_ssize_t groups
        int code
        double alpha
        int single
    int pn_conv_forward(void* call) noexcept
    int pn_conv_backward_data(void* call) noexcept
    int pn_conv_backward_weights(void* call) noexcept


cdef int describe(
    pn_conv* call, cnp.ndarray x, cnp.ndarray w, cnp.ndarray y, tuple stride, tuple padding, tuple dilation,
    Py_ssize_t groups
) except -1:
    """Write the sizes of the input, weights and output of the forward pass to the call."""
    call.n, call.channels = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    call.height, call.width = cnp.PyArray_DIM(x, 2), cnp.PyArray_DIM(x, 3)
    call.filters, call.out_height, call.out_width = cnp.PyArray_DIM(y, 1), cnp.PyArray_DIM(y, 2), cnp.PyArray_DIM(y, 3)
    call.kernel_height, call.kernel_width = cnp.PyArray_DIM(w, 2), cnp.PyArray_DIM(w, 3)
    call.stride_y, call.stride_x = stride
    call.top, call.left = padding
    call.dilation_y, call.dilation_x = dilation
    call.groups, call.single = groups, is_single(x)
    call.code, call.alpha = 0, 0
    call.bias = call.pre = NULL
    return 0


cdef int run(pn_kernel kernel, pn_conv* call, int reads, tuple arrays) except -1:
    if not make(kernel, call, sizeof(pn_conv), reads, arrays):
        raise MemoryError(f"no memory for the packed panels of a convolution of {arrays[0].shape}")
    return 0


def conv2d(
    cnp.ndarray x, cnp.ndarray w, cnp.ndarray bias, tuple stride, tuple padding, tuple dilation, Py_ssize_t groups,
    int activation, double alpha, cnp.ndarray out, cnp.ndarray pre_out
):
    """Write f(x * w + bias) to `out`: a sum over the kernel's elements (r, s) and the channels of a filter's group.

    out[n, k, i, j] = bias[k] + sum over c, r, s of w[k, c, r, s] x[n, c, i sy + r dy - top, j sx + s dx - left], with
    x = 0 outside; `padding` is (top, left), and the shape of `out` determines the number of windows.
    The pre-activation is also written to `pre_out`, unless it is None.
    """
    cdef pn_conv call
    describe(&call, x, w, out, stride, padding, dilation, groups)
    call.x, call.w, call.bias, call.out, call.pre = data(x), data(w), data(bias), data(out), data(pre_out)
    call.code, call.alpha = activation, alpha
    run(pn_conv_forward, &call, 3, (x, w, bias, out, pre_out))


def conv2d_backward_data(
    cnp.ndarray dy, cnp.ndarray w, tuple stride, tuple padding, tuple dilation, Py_ssize_t groups, cnp.ndarray dx
):
    """Write the gradient of the input."""
    cdef pn_conv call
    describe(&call, dx, w, dy, stride, padding, dilation, groups)
    call.x, call.w, call.out = data(dy), data(w), data(dx)
    run(pn_conv_backward_data, &call, 3, (dy, w, None, dx))


def conv2d_backward_weights(
    cnp.ndarray dy, cnp.ndarray x, tuple stride, tuple padding, tuple dilation, Py_ssize_t groups, cnp.ndarray dw
):
    """Write the gradient of the weights."""
    cdef pn_conv call
    describe(&call, x, dw, dy, stride, padding, dilation, groups)
    call.x, call.w, call.out = data(dy), data(x), data(dw)
    run(pn_conv_backward_weights, &call, 3, (dy, x, None, dw))
