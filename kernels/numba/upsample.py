"""Resampling of images (planes, height, width): nearest pixels, or bilinear interpolation.

Row i of the output is at ``max((i + offset) scale - offset, 0)`` in the input, with scale = `scales[0]` / `scales[1]`;
columns likewise, with `scales[2]` / `scales[3]`. Without `bilinear` the pixel before it is taken.
"""

import math

from .compiled import njit


def upsample(x, scales, offset, bilinear, out):
    """Write the resampled images to `out`."""
    _upsample(x, tuple(map(float, scales)), float(offset), bool(bilinear), out)


def upsample_backward(dy, scales, offset, bilinear, dx):
    """Write the gradient of the input: each output's gradient goes to the pixels that it was made of."""
    dx[...] = 0
    _upsample_backward(dy, tuple(map(float, scales)), float(offset), bool(bilinear), dx)


@njit()
def _place(i, size, numerator, denominator, offset):
    """Return the row before output row i in the input, the one after it, and the weight of the latter."""
    at = max((i + offset) * numerator / denominator - offset, 0.0)
    low = min(math.floor(at), size - 1)
    return low, min(low + 1, size - 1), at - low


@njit()
def _upsample(x, scales, offset, bilinear, out):
    f = x.dtype.type
    one = f(1)
    for p in range(out.shape[0]):
        for i in range(out.shape[1]):
            top, bottom, share = _place(i, x.shape[1], scales[0], scales[1], offset)
            down = f(share)
            for j in range(out.shape[2]):
                left, right, part = _place(j, x.shape[2], scales[2], scales[3], offset)
                if not bilinear:
                    out[p, i, j] = x[p, top, left]
                else:
                    across = f(part)
                    above = x[p, top, left] * (one - across) + x[p, top, right] * across
                    below = x[p, bottom, left] * (one - across) + x[p, bottom, right] * across
                    out[p, i, j] = above * (one - down) + below * down


@njit()
def _upsample_backward(dy, scales, offset, bilinear, dx):
    f = dy.dtype.type
    one = f(1)
    for p in range(dy.shape[0]):
        for i in range(dy.shape[1]):
            top, bottom, share = _place(i, dx.shape[1], scales[0], scales[1], offset)
            down = f(share)
            for j in range(dy.shape[2]):
                left, right, part = _place(j, dx.shape[2], scales[2], scales[3], offset)
                g = dy[p, i, j]
                if not bilinear:
                    dx[p, top, left] += g
                else:
                    across = f(part)
                    dx[p, top, left] += g * (one - down) * (one - across)
                    dx[p, top, right] += g * (one - down) * across
                    dx[p, bottom, left] += g * down * (one - across)
                    dx[p, bottom, right] += g * down * across
