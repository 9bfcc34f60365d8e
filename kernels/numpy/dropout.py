"""Inverted dropout (Srivastava et al. 2014) whose mask is a function of a seed and a position."""

import numpy as np

from .quiet import quiet

#: Steps of SplitMix64 (Steele, Lea & Flood 2014): a stateless stream, the same in every backend.
GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB


@quiet
def dropout(x, p, draw, out):
    """Write x / (1 - p) where element i of the stream keeps it, else 0; `out` may be `x` itself.

    Element i of the flattened `x` is kept if the top 24 bits of splitmix64(seed, offset + i) are at least p * 2**24;
    `draw` is uint64: seed and offset. The backward pass is the same call on dy.
    """
    seed, offset = int(draw[0]), int(draw[1])
    state = np.uint64(seed) + np.arange(offset + 1, offset + 1 + x.size, dtype=np.uint64) * np.uint64(GOLDEN)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(MIX_1)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(MIX_2)
    bits = (state ^ (state >> np.uint64(31))) >> np.uint64(40)
    kept = bits.reshape(x.shape) >= int(p * 2**24)
    out[...] = np.where(kept, x * (1 / (1 - p)) if p < 1 else 0, 0)


@quiet
def dropout_channels(x, p, draw, out):
    """Write x / (1 - p) for the channels of an example that the stream keeps, else 0; `out` may be `x` itself.

    Element i of the stream (see `dropout`) decides on channel i of the flattened (n, channels).
    """
    factor = np.empty(x.shape[:2], x.dtype)
    dropout(np.ones(x.shape[:2], x.dtype), p, draw, factor)
    np.copyto(out, np.where(factor[:, :, None] == 0, 0, x * factor[:, :, None]))


def advance(stream, count, draw):
    """Copy the stream's seed and offset to `draw` and advance the stream by `count`; both are uint64 (2,)."""
    draw[...] = stream
    stream[1] += np.uint64(count)
