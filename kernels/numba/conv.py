"""Convolution over images and its two gradients: one pass over the rows of an image per kernel element."""

import numpy as np

from .absent import or_empty
from .activations import activate
from .compiled import FMA, REORDERED, njit
from .spans import IDENTITY


def conv2d(x, w, bias, stride, padding, dilation, groups, activation, alpha, out, pre_out):
    """Write f(x * w + bias) to `out`: a sum over the kernel's elements (r, s) and the channels of a filter's group.

    out[n, k, i, j] = bias[k] + sum over c, r, s of w[k, c, r, s] x[n, c, i sy + r dy - top, j sx + s dx - left], with
    x = 0 outside; `padding` is (top, left), and the shape of `out` determines the number of windows.
    The pre-activation is also written to `pre_out`, unless it is None.
    """
    _forward(x, w, or_empty(bias, x.dtype), *stride, *padding, *dilation, groups, out)
    if pre_out is not None:
        pre_out[...] = out
    if activation != IDENTITY:
        activate(out, activation, alpha, out)


def conv2d_backward_data(dy, w, stride, padding, dilation, groups, dx):
    """Write the gradient of the input."""
    _backward_data(dy, w, *stride, *padding, *dilation, groups, dx)


def conv2d_backward_weights(dy, x, stride, padding, dilation, groups, dw):
    """Write the gradient of the weights."""
    _backward_weights(dy, x, *stride, *padding, *dilation, groups, dw)


@njit()
def _within(size, step, offset, count):
    """Return start and stop of the positions i < `count` for which i * step + offset is in the image."""
    first = max(0, -(offset // step))
    stop = min(count, (size - 1 - offset) // step + 1) if size > offset else 0
    return first, max(first, stop)


@njit(fastmath=FMA)
def _forward(x, w, bias, sy, sx, top, left, dy, dx, groups, out):
    depth, kernel_height, kernel_width = w.shape[1:]
    filters, height, width = out.shape[1:]
    for n in range(x.shape[0]):
        for k in range(filters):
            plane = out[n, k]
            plane[...] = bias[k] if bias.size else 0
            first_channel = k // (filters // groups) * depth
            for c in range(depth):
                image = x[n, first_channel + c]
                for r in range(kernel_height):
                    i0, i1 = _within(image.shape[0], sy, r * dy - top, height)
                    for s in range(kernel_width):
                        j0, j1 = _within(image.shape[1], sx, s * dx - left, width)
                        weight = w[k, c, r, s]
                        for i in range(i0, i1):
                            row, y = image[i * sy + r * dy - top], plane[i]
                            if sx == 1:
                                seen, to = row[j0 + s * dx - left : j1 + s * dx - left], y[j0:j1]
                                for j in range(to.size):
                                    to[j] += weight * seen[j]
                            else:
                                for j in range(j0, j1):
                                    y[j] += weight * row[j * sx + s * dx - left]


@njit(fastmath=FMA)
def _backward_data(dout, w, sy, sx, top, left, dy, dx, groups, din):
    depth, kernel_height, kernel_width = w.shape[1:]
    filters, height, width = dout.shape[1:]
    for n in range(din.shape[0]):
        din[n] = 0
        for k in range(filters):
            plane = dout[n, k]
            first_channel = k // (filters // groups) * depth
            for c in range(depth):
                image = din[n, first_channel + c]
                for r in range(kernel_height):
                    i0, i1 = _within(image.shape[0], sy, r * dy - top, height)
                    for s in range(kernel_width):
                        j0, j1 = _within(image.shape[1], sx, s * dx - left, width)
                        weight = w[k, c, r, s]
                        for i in range(i0, i1):
                            row, g = image[i * sy + r * dy - top], plane[i]
                            if sx == 1:
                                to, given = row[j0 + s * dx - left : j1 + s * dx - left], g[j0:j1]
                                for j in range(to.size):
                                    to[j] += weight * given[j]
                            else:
                                for j in range(j0, j1):
                                    row[j * sx + s * dx - left] += weight * g[j]


@njit(fastmath=REORDERED)
def _backward_weights(dout, x, sy, sx, top, left, dy, dx, groups, dw):
    depth, kernel_height, kernel_width = dw.shape[1:]
    filters, height, width = dout.shape[1:]
    for k in range(filters):
        first_channel = k // (filters // groups) * depth
        for c in range(depth):
            for r in range(kernel_height):
                i0, i1 = _within(x.shape[2], sy, r * dy - top, height)
                for s in range(kernel_width):
                    j0, j1 = _within(x.shape[3], sx, s * dx - left, width)
                    total = np.float64(0)
                    for n in range(x.shape[0]):
                        for i in range(i0, i1):
                            row, g = x[n, first_channel + c, i * sy + r * dy - top], dout[n, k, i]
                            part = x.dtype.type(0)
                            for j in range(j0, j1):
                                part += g[j] * row[j * sx + s * dx - left]
                            total += part
                    dw[k, c, r, s] = total
