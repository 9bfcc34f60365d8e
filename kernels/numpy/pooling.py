"""Max and mean pooling over windows of images. Windows extend into the padding."""

import numpy as np

from .quiet import quiet


@quiet
def max_pool2d(x, kernel, stride, padding, dilation, out, index):
    """Write the largest element of each window to `out`; a NaN counts as the largest.

    `index` (uint16), unless None, receives the position of that element in the kernel, row * width + column; on ties
    the first.
    """
    out[...] = -np.inf
    if index is not None:
        index[...] = 0
    started = np.zeros(out.shape, bool)
    for element, (r, s) in enumerate(np.ndindex(*kernel)):
        seen, (rows, columns) = _seen(x, (r, s), stride, padding, dilation, out.shape[2:])
        best, first = out[:, :, rows, columns], started[:, :, rows, columns]
        better = (seen > best) | (np.isnan(seen) & ~np.isnan(best)) | ~first
        np.copyto(best, seen, where=better)
        first[...] = True
        if index is not None:
            index[:, :, rows, columns][better] = element


@quiet
def max_pool2d_backward(dy, index, kernel, stride, padding, dilation, dx):
    """Write the sum of dy over the windows at each window's largest element, and 0 elsewhere."""
    dx[...] = 0
    for element, (r, s) in enumerate(np.ndindex(*kernel)):
        seen, (rows, columns) = _seen(dx, (r, s), stride, padding, dilation, dy.shape[2:])
        seen += np.where(index[:, :, rows, columns] == element, dy[:, :, rows, columns], 0)


@quiet
def avg_pool2d(x, kernel, stride, padding, count_padding, out):
    """Write each window's mean to `out`: over the whole window if `count_padding`, else over its part in the image.

    Positions beyond the padding never count.
    """
    total = np.zeros(out.shape, x.dtype)
    for r, s in np.ndindex(*kernel):
        seen, (rows, columns) = _seen(x, (r, s), stride, padding, (1, 1), out.shape[2:])
        total[:, :, rows, columns] += seen
    out[...] = total / _window_sizes(x.shape[2:], kernel, stride, padding, count_padding, out.shape[2:])


@quiet
def avg_pool2d_backward(dy, kernel, stride, padding, count_padding, dx):
    """Write the gradient of the input of `avg_pool2d`."""
    share = dy / _window_sizes(dx.shape[2:], kernel, stride, padding, count_padding, dy.shape[2:])
    dx[...] = 0
    for r, s in np.ndindex(*kernel):
        seen, (rows, columns) = _seen(dx, (r, s), stride, padding, (1, 1), dy.shape[2:])
        seen += share[:, :, rows, columns]


@quiet
def adaptive_avg_pool2d(x, out):
    """Write the means over windows that divide the image into the grid of `out`.

    Along n elements, window i of m is [floor(i n / m), ceil((i + 1) n / m)).
    """
    for i, rows in enumerate(_adaptive_windows(x.shape[2], out.shape[2])):
        for j, columns in enumerate(_adaptive_windows(x.shape[3], out.shape[3])):
            out[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3), dtype=np.float64)


@quiet
def adaptive_avg_pool2d_backward(dy, dx):
    """Write the gradient of the input of `adaptive_avg_pool2d`."""
    dx[...] = 0
    for i, rows in enumerate(_adaptive_windows(dx.shape[2], dy.shape[2])):
        for j, columns in enumerate(_adaptive_windows(dx.shape[3], dy.shape[3])):
            window = dx[:, :, rows, columns]
            window += (dy[:, :, i, j] / (window.shape[2] * window.shape[3]))[:, :, None, None]


def _inside(size, step, offset, count):
    """Return the positions i < `count` whose element i * step + offset is in the image, and these elements."""
    first = max(0, -(offset // step))
    stop = max(first, min(count, (size - 1 - offset) // step + 1))
    start = first * step + offset
    return slice(first, stop), slice(start, start + (stop - first - 1) * step + 1 if stop > first else start, step)


def _seen(x, element, stride, padding, dilation, grid):
    """Return the image values that a window element reads, and the grid positions that read them."""
    positions, elements = zip(
        *(
            _inside(size, step, at * spread - before, count)
            for size, at, step, before, spread, count in zip(
                x.shape[2:], element, stride, padding, dilation, grid, strict=True
            )
        ),
        strict=True,
    )
    return x[:, :, elements[0], elements[1]], positions


def _window_sizes(sizes, kernel, stride, padding, count_padding, grid):
    """Return the number of elements in each window's mean, shape `grid`."""
    counts = []
    for size, k, step, before, count in zip(sizes, kernel, stride, padding, grid, strict=True):
        start = np.arange(count) * step - before
        stop = np.minimum(start + k, size + before)
        if not count_padding:
            start, stop = np.maximum(start, 0), np.minimum(stop, size)
        counts.append(stop - start)
    return np.multiply.outer(*counts)


def _adaptive_windows(size, count):
    return [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
