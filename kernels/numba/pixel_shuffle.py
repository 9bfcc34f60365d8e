"""Pixels of r x r planes (n, r, r, height, width) as blocks of one plane (n, height, r, width, r), and back."""

from .compiled import njit


def pixel_shuffle(x, out):
    """Write plane (i, j) of `x` to row i and column j of the blocks of `out`."""
    _pixel_shuffle(x, out)


def pixel_unshuffle(x, out):
    """Write row i and column j of the blocks of `x` to plane (i, j) of `out`."""
    _pixel_unshuffle(x, out)


@njit()
def _pixel_shuffle(x, out):
    planes, height, r, width = out.shape[:4]
    for p in range(planes):
        for h in range(height):
            for i in range(r):
                for w in range(width):
                    for j in range(r):
                        out[p, h, i, w, j] = x[p, i, j, h, w]


@njit()
def _pixel_unshuffle(x, out):
    planes, height, r, width = x.shape[:4]
    for p in range(planes):
        for h in range(height):
            for i in range(r):
                for w in range(width):
                    for j in range(r):
                        out[p, i, j, h, w] = x[p, h, i, w, j]
