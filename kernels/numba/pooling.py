"""Max and mean pooling over windows of images. Windows extend into the padding."""

import numpy as np

from .absent import or_empty
from .compiled import njit


def max_pool2d(x, kernel, stride, padding, dilation, out, index):
    """Write the largest element of each window to `out`; a NaN counts as the largest.

    `index` (uint16), unless None, receives the position of that element in the kernel, row * width + column; on ties
    the first.
    """
    _max(x, *kernel, *stride, *padding, *dilation, out, or_empty(index, np.uint16, 4))


def max_pool2d_backward(dy, index, kernel, stride, padding, dilation, dx):
    """Write the sum of dy over the windows at each window's largest element, and 0 elsewhere."""
    _max_backward(dy, index, kernel[1], *stride, *padding, *dilation, dx)


def avg_pool2d(x, kernel, stride, padding, count_padding, out):
    """Write each window's mean to `out`: over the whole window if `count_padding`, else over its part in the image.

    Positions beyond the padding never count.
    """
    _avg(x, *kernel, *stride, *padding, bool(count_padding), out)


def avg_pool2d_backward(dy, kernel, stride, padding, count_padding, dx):
    """Write the gradient of the input of `avg_pool2d`."""
    _avg_backward(dy, *kernel, *stride, *padding, bool(count_padding), dx)


def adaptive_avg_pool2d(x, out):
    """Write the means over windows that divide the image into the grid of `out`.

    Along n elements, window i of m is [floor(i n / m), ceil((i + 1) n / m)).
    """
    _adaptive(x, out)


def adaptive_avg_pool2d_backward(dy, dx):
    """Write the gradient of the input of `adaptive_avg_pool2d`."""
    _adaptive_backward(dy, dx)


@njit()
def _max(x, kh, kw, sy, sx, top, left, dy, dx, out, index):
    height, width = x.shape[2:]
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(out.shape[2]):
                for j in range(out.shape[3]):
                    best, element, first = x.dtype.type(-np.inf), 0, True
                    for r in range(kh):
                        y = i * sy + r * dy - top
                        if 0 <= y < height:
                            for s in range(kw):
                                u = j * sx + s * dx - left
                                if 0 <= u < width:
                                    value = x[n, c, y, u]
                                    if first or value > best or (value != value and best == best):
                                        best, element, first = value, r * kw + s, False
                    out[n, c, i, j] = best
                    if index.size:
                        index[n, c, i, j] = element


@njit()
def _max_backward(dout, index, kw, sy, sx, top, left, dy, dx, din):
    height, width = din.shape[2:]
    for n in range(din.shape[0]):
        for c in range(din.shape[1]):
            for y in range(height):
                for u in range(width):
                    din[n, c, y, u] = 0
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    element = index[n, c, i, j]
                    y = i * sy + element // kw * dy - top
                    u = j * sx + element % kw * dx - left
                    if 0 <= y < height and 0 <= u < width:
                        din[n, c, y, u] += dout[n, c, i, j]


@njit()
def _window(i, step, before, kernel, size, count_padding):
    """Return the part of a window that is in the image, and the divisor of its mean."""
    start = i * step - before
    stop = min(start + kernel, size + before)
    first, last = max(start, 0), min(stop, size)
    return first, last, stop - start if count_padding else last - first


@njit()
def _avg(x, kh, kw, sy, sx, top, left, count_padding, out):
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(out.shape[2]):
                y0, y1, rows = _window(i, sy, top, kh, x.shape[2], count_padding)
                for j in range(out.shape[3]):
                    u0, u1, columns = _window(j, sx, left, kw, x.shape[3], count_padding)
                    total = x.dtype.type(0)
                    for y in range(y0, y1):
                        for u in range(u0, u1):
                            total += x[n, c, y, u]
                    out[n, c, i, j] = total / (rows * columns)


@njit()
def _avg_backward(dout, kh, kw, sy, sx, top, left, count_padding, din):
    for n in range(din.shape[0]):
        for c in range(din.shape[1]):
            for y in range(din.shape[2]):
                for u in range(din.shape[3]):
                    din[n, c, y, u] = 0
            for i in range(dout.shape[2]):
                y0, y1, rows = _window(i, sy, top, kh, din.shape[2], count_padding)
                for j in range(dout.shape[3]):
                    u0, u1, columns = _window(j, sx, left, kw, din.shape[3], count_padding)
                    share = dout[n, c, i, j] / (rows * columns)
                    for y in range(y0, y1):
                        for u in range(u0, u1):
                            din[n, c, y, u] += share


@njit()
def _adaptive(x, out):
    height, width = x.shape[2:]
    rows, columns = out.shape[2:]
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for i in range(rows):
                y0, y1 = i * height // rows, -(-(i + 1) * height // rows)
                for j in range(columns):
                    u0, u1 = j * width // columns, -(-(j + 1) * width // columns)
                    total = 0.0
                    for y in range(y0, y1):
                        for u in range(u0, u1):
                            total += np.float64(x[n, c, y, u])
                    out[n, c, i, j] = total / ((y1 - y0) * (u1 - u0))


@njit()
def _adaptive_backward(dout, din):
    height, width = din.shape[2:]
    rows, columns = dout.shape[2:]
    for n in range(din.shape[0]):
        for c in range(din.shape[1]):
            for y in range(height):
                for u in range(width):
                    din[n, c, y, u] = 0
            for i in range(rows):
                y0, y1 = i * height // rows, -(-(i + 1) * height // rows)
                for j in range(columns):
                    u0, u1 = j * width // columns, -(-(j + 1) * width // columns)
                    share = dout[n, c, i, j] / ((y1 - y0) * (u1 - u0))
                    for y in range(y0, y1):
                        for u in range(u0, u1):
                            din[n, c, y, u] += share
