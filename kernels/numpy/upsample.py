"""Resampling of images (planes, height, width): nearest pixels, or bilinear interpolation.

Row i of the output is at ``max((i + offset) scale - offset, 0)`` in the input, with scale = `scales[0]` / `scales[1]`;
columns likewise, with `scales[2]` / `scales[3]`. Without `bilinear` the pixel before it is taken.
"""

import numpy as np

from .quiet import quiet


def _places(count, size, numerator, denominator, offset):
    """Return for each output row the rows before and after it in the input, and the weight of the latter."""
    at = np.maximum((np.arange(count) + offset) * numerator / denominator - offset, 0)
    low = np.minimum(np.floor(at).astype(np.int64), size - 1)
    return low, np.minimum(low + 1, size - 1), at - low


@quiet
def upsample(x, scales, offset, bilinear, out):
    """Write the resampled images to `out`."""
    top, bottom, down = _places(out.shape[1], x.shape[1], *scales[:2], offset)
    left, right, across = _places(out.shape[2], x.shape[2], *scales[2:], offset)
    if not bilinear:
        out[...] = x[:, top[:, None], left]
        return
    down, across = down[:, None].astype(x.dtype), across.astype(x.dtype)
    above = x[:, top[:, None], left] * (1 - across) + x[:, top[:, None], right] * across
    below = x[:, bottom[:, None], left] * (1 - across) + x[:, bottom[:, None], right] * across
    out[...] = above * (1 - down) + below * down


@quiet
def upsample_backward(dy, scales, offset, bilinear, dx):
    """Write the gradient of the input: each output's gradient goes to the pixels that it was made of."""
    top, bottom, down = _places(dy.shape[1], dx.shape[1], *scales[:2], offset)
    left, right, across = _places(dy.shape[2], dx.shape[2], *scales[2:], offset)
    dx[...] = 0
    every = np.arange(len(dx))[:, None, None]
    if not bilinear:
        np.add.at(dx, (every, top[:, None], left), dy)
        return
    down, across = down[:, None].astype(dy.dtype), across.astype(dy.dtype)
    for row, vertical in ((top, 1 - down), (bottom, down)):
        for column, horizontal in ((left, 1 - across), (right, across)):
            np.add.at(dx, (every, row[:, None], column), dy * vertical * horizontal)
