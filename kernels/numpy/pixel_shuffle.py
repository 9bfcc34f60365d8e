"""Pixels of r x r planes (n, r, r, height, width) as blocks of one plane (n, height, r, width, r), and back."""


def pixel_shuffle(x, out):
    """Write plane (i, j) of `x` to row i and column j of the blocks of `out`."""
    out[...] = x.transpose(0, 3, 1, 4, 2)


def pixel_unshuffle(x, out):
    """Write row i and column j of the blocks of `x` to plane (i, j) of `out`."""
    out[...] = x.transpose(0, 2, 4, 1, 3)
