"""Max and mean pooling over windows of images. Windows extend into the padding."""

cimport numpy as cnp
from libc.stdint cimport uint16_t

from .arrays cimport data, is_single
from .calls cimport import_runtime, make, pn_kernel

cnp.import_array()
import_runtime()

cdef extern from "pooling/pooling.h" nogil:
    ctypedef struct pn_pooling:
        const void* x
        void* y
        uint16_t* index
        Py_ssize_t planes
        Py_ssize_t height
        Py_ssize_t width
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
        int count_padding
        int single
    int pn_max_pool(void* call) noexcept
    int pn_max_pool_backward(void* call) noexcept
    int pn_avg_pool(void* call) noexcept
    int pn_avg_pool_backward(void* call) noexcept
    int pn_adaptive_pool(void* call) noexcept
    int pn_adaptive_pool_backward(void* call) noexcept


cdef int pool(
    pn_kernel kernel, cnp.ndarray image, cnp.ndarray pooled, bint backward, cnp.ndarray index, tuple windows,
    bint count_padding=False
) except -1:
    """Make the call; `windows` are those of kernel, stride, padding and dilation that the kernel needs."""
    cdef pn_pooling call
    call.x, call.y = data(pooled if backward else image), data(image if backward else pooled)
    call.index = <uint16_t*>data(index)
    call.planes = cnp.PyArray_DIM(image, 0) * cnp.PyArray_DIM(image, 1)
    call.height, call.width = cnp.PyArray_DIM(image, 2), cnp.PyArray_DIM(image, 3)
    call.out_height, call.out_width = cnp.PyArray_DIM(pooled, 2), cnp.PyArray_DIM(pooled, 3)
    call.kernel_height = call.kernel_width = call.stride_y = call.stride_x = call.dilation_y = call.dilation_x = 1
    call.top = call.left = 0
    if len(windows) > 0:
        call.kernel_height, call.kernel_width = windows[0]
        call.stride_y, call.stride_x = windows[1]
        call.top, call.left = windows[2]
    if len(windows) > 3:
        call.dilation_y, call.dilation_x = windows[3]
    call.count_padding, call.single = count_padding, is_single(image)
    cdef tuple arrays = (pooled, index, image) if backward else (image, pooled, index)
    if not make(kernel, &call, sizeof(call), 2 if backward else 1, arrays):
        raise MemoryError("no memory for the buffers of pooling")
    return 0


def max_pool2d(
    cnp.ndarray x, tuple kernel, tuple stride, tuple padding, tuple dilation, cnp.ndarray out, cnp.ndarray index
):
    """Write the largest element of each window to `out`; a NaN counts as the largest.

    `index` (uint16), unless None, receives the position of that element in the kernel, row * width + column; on ties
    the first.
    """
    pool(pn_max_pool, x, out, False, index, (kernel, stride, padding, dilation))


def max_pool2d_backward(
    cnp.ndarray dy, cnp.ndarray index, tuple kernel, tuple stride, tuple padding, tuple dilation, cnp.ndarray dx
):
    """Write the sum of dy over the windows at each window's largest element, and 0 elsewhere."""
    pool(pn_max_pool_backward, dx, dy, True, index, (kernel, stride, padding, dilation))


def avg_pool2d(cnp.ndarray x, tuple kernel, tuple stride, tuple padding, bint count_padding, cnp.ndarray out):
    """Write each window's mean to `out`: over the whole window if `count_padding`, else over its part in the image.

    Positions beyond the padding never count.
    """
    pool(pn_avg_pool, x, out, False, None, (kernel, stride, padding), count_padding)


def avg_pool2d_backward(cnp.ndarray dy, tuple kernel, tuple stride, tuple padding, bint count_padding, cnp.ndarray dx):
    """Write the gradient of the input of `avg_pool2d`."""
    pool(pn_avg_pool_backward, dx, dy, True, None, (kernel, stride, padding), count_padding)


def adaptive_avg_pool2d(cnp.ndarray x, cnp.ndarray out):
    """Write the means over windows that divide the image into the grid of `out`.

    Along n elements, window i of m is [floor(i n / m), ceil((i + 1) n / m)).
    """
    pool(pn_adaptive_pool, x, out, False, None, ())


def adaptive_avg_pool2d_backward(cnp.ndarray dy, cnp.ndarray dx):
    """Write the gradient of the input of `adaptive_avg_pool2d`."""
    pool(pn_adaptive_pool_backward, dx, dy, True, None, ())
