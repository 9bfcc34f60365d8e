"""Convolution over images and its two gradients: one matrix product per kernel element."""

import math

import numpy as np

from ..codes import ActivationCode
from .activations import activate
from .quiet import quiet


@quiet
def conv2d(x, w, bias, stride, padding, dilation, groups, activation, alpha, out, pre_out):
    """Write f(x * w + bias) to `out`: a sum over the kernel's elements (r, s) and the channels of a filter's group.

    out[n, k, i, j] = bias[k] + sum over c, r, s of w[k, c, r, s] x[n, c, i sy + r dy - top, j sx + s dx - left], with
    x = 0 outside; `padding` is (top, left), and the shape of `out` determines the number of windows.
    The pre-activation is also written to `pre_out`, unless it is None.
    """
    n, filters, height, width = out.shape
    kernel, grid = w.shape[2:], (height, width)
    weights = w.reshape(groups, filters // groups, *w.shape[1:])
    padded = _bordered(x, kernel, stride, padding, dilation, grid)
    total = np.zeros((n, groups, filters // groups, height * width), x.dtype)
    for r, s in np.ndindex(kernel):
        patches = _seen(padded, r, s, stride, dilation, grid).reshape(n, groups, w.shape[1], height * width)
        total += weights[..., r, s] @ patches
    out[...] = total.reshape(out.shape)
    if bias is not None:
        out += bias[:, None, None]
    if pre_out is not None:
        pre_out[...] = out
    if activation != ActivationCode.IDENTITY:
        activate(out, activation, alpha, out)


@quiet
def conv2d_backward_data(dy, w, stride, padding, dilation, groups, dx):
    """Write the gradient of the input."""
    n, filters, *grid = dy.shape
    kernel = w.shape[2:]
    weights = w.reshape(groups, filters // groups, *w.shape[1:])
    gradient = dy.reshape(n, groups, filters // groups, math.prod(grid))
    padded = _bordered(np.zeros_like(dx), kernel, stride, padding, dilation, grid)
    for r, s in np.ndindex(kernel):
        part = weights[..., r, s].transpose(0, 2, 1) @ gradient
        _seen(padded, r, s, stride, dilation, grid)[...] += part.reshape(n, dx.shape[1], *grid)
    top, left = padding
    dx[...] = padded[:, :, top : top + dx.shape[2], left : left + dx.shape[3]]


@quiet
def conv2d_backward_weights(dy, x, stride, padding, dilation, groups, dw):
    """Write the gradient of the weights."""
    n, filters, *grid = dy.shape
    kernel = dw.shape[2:]
    gradient = dy.reshape(n, groups, filters // groups, math.prod(grid))
    padded = _bordered(x, kernel, stride, padding, dilation, grid)
    for r, s in np.ndindex(kernel):
        patches = _seen(padded, r, s, stride, dilation, grid).reshape(n, groups, dw.shape[1], math.prod(grid))
        product = (gradient @ patches.transpose(0, 1, 3, 2)).sum(axis=0)
        dw[:, :, r, s] = product.reshape(filters, dw.shape[1])


def _bordered(x, kernel, stride, padding, dilation, grid):
    """Return x, zero-padded as far as the windows of the grid reach."""
    widths = [(0, 0), (0, 0)]
    for size, k, step, before, spread, count in zip(x.shape[2:], kernel, stride, padding, dilation, grid, strict=True):
        reach = (count - 1) * step + (k - 1) * spread + 1
        widths.append((before, max(0, reach - before - size)))
    return np.pad(x, widths)


def _seen(padded, r, s, stride, dilation, grid):
    """Return the inputs that kernel element (r, s) reads at every position of the grid."""
    rows, columns = (
        slice(at * spread, at * spread + (count - 1) * step + 1, step)
        for at, spread, step, count in zip((r, s), dilation, stride, grid, strict=True)
    )
    return padded[:, :, rows, columns]
