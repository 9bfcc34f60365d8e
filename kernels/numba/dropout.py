"""Inverted dropout (Srivastava et al. 2014) whose mask is a function of a seed and a position."""

import numpy as np

from .compiled import njit

#: Steps of SplitMix64 (Steele, Lea & Flood 2014): a stateless stream, the same in every backend.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)


def dropout(x, p, draw, out):
    """Write x / (1 - p) where element i of the stream keeps it, else 0; `out` may be `x` itself.

    Element i of the flattened `x` is kept if the top 24 bits of splitmix64(seed, offset + i) are at least p * 2**24;
    `draw` is uint64: seed and offset. The backward pass is the same call on dy.
    """
    threshold = np.uint64(int(p * 2**24))
    scale = 1 / (1 - p) if p < 1 else 0.0
    _dropout(x.reshape(-1), threshold, scale, draw[0], draw[1], out.reshape(-1))


def dropout_channels(x, p, draw, out):
    """Write x / (1 - p) for the channels of an example that the stream keeps, else 0; `out` may be `x` itself.

    Element i of the stream (see `dropout`) decides on channel i of the flattened (n, channels).
    """
    factor = np.ones(x.shape[:2], x.dtype)
    dropout(factor, p, draw, factor)
    _scale_channels(x, factor, out)


def advance(stream, count, draw):
    """Copy the stream's seed and offset to `draw` and advance the stream by `count`; both are uint64 (2,)."""
    draw[...] = stream
    stream[1] += np.uint64(count)


@njit()
def _dropout(x, threshold, scale, seed, offset, out):
    zero, factor = x.dtype.type(0), x.dtype.type(scale)
    state = seed + (offset + np.uint64(1)) * GOLDEN
    for i in range(x.size):
        z = (state ^ (state >> np.uint64(30))) * MIX_1
        z = (z ^ (z >> np.uint64(27))) * MIX_2
        bits = (z ^ (z >> np.uint64(31))) >> np.uint64(40)
        out[i] = x[i] * factor if bits >= threshold else zero
        state += GOLDEN


@njit()
def _scale_channels(x, factor, out):
    zero = x.dtype.type(0)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for j in range(x.shape[2]):
                out[n, c, j] = x[n, c, j] * factor[n, c] if factor[n, c] != zero else zero
