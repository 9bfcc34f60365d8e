"""float32 products by bfloat16 parts, as matrix units compute them: the reference in plain NumPy, for any machine."""

from math import ceil

import numpy as np

#: The products of parts in the order of summation, (part of a, part of b); by the number of products.
ORDERS = {
    6: ((2, 0), (0, 2), (0, 1), (1, 1), (1, 0), (0, 0)),
    3: ((1, 0), (0, 1), (0, 0)),
    1: ((0, 0),),
}
#: A tile of the unit multiplies 32 k; of at most so many k, each a multiple of 32, are blocks, whose sums are added.
TILE, BLOCK = 32, 512


def rounded(x):
    """Return the nearest bfloat16, as float32: ties away from zero, by adding half a unit to the bits."""
    return ((x.view(np.uint32) + np.uint32(0x8000)) & np.uint32(0xFFFF0000)).view(np.float32)


def nearest(x):
    """Return the nearest bfloat16, as float32: ties to even, by Veltkamp's splitting."""
    scaled = x * np.float32(65537)
    return scaled - (scaled - x)


def split(x, count):
    """Return the `count` bfloat16 parts of a float32 array, largest first, as float32; three are exact."""
    parts, rest = [], np.ascontiguousarray(x)
    for part in range(count):
        last = part + 1 == count
        parts.append(rest if part == 2 else nearest(rest) if last else rounded(rest))
        rest = rest - parts[-1]
    return parts


def product(a, b, products=6):
    """Return the (m, n) product of `a` (m, k) and `b` (k, n), bit for bit as Intel's matrix units (AMX) compute it.

    The unit sums the first and the second of each pair apart, then adds the sum of both to the result; packing makes
    pairs of k and k + 16. A product of two bfloat16 is exact in float32.
    """
    (m, k), n = a.shape, b.shape[1]
    length = ceil(ceil(k / ceil(k / BLOCK)) / TILE) * TILE
    padded = ceil(k / TILE) * TILE
    count = {6: 3, 3: 2, 1: 1}[products]
    left = split(np.pad(a, ((0, 0), (0, padded - k))), count)
    right = split(np.pad(b, ((0, padded - k), (0, 0))), count)
    result = np.zeros((m, n), np.float32)
    for first in range(0, padded, length):
        block = np.zeros((m, n), np.float32)
        for start in range(first, min(first + length, padded), TILE):
            for i, j in ORDERS[products]:
                block += _tile(left[i][:, start : start + TILE], right[j][start : start + TILE])
        result = result + block if first else block
    return result


def _tile(a, b):
    sums = np.zeros((2, len(a), b.shape[1]), np.float32)
    for k in range(TILE):
        sums[k // (TILE // 2)] += a[:, k, None] * b[k]
    return sums[0] + sums[1]
