"""Trials of transposed convolutions, resampled images, columns and embeddings."""

import numpy as np
from fuzz.arrays import KINDS, SIZES, SMALL
from fuzz.cases import Case, Numbers, ops, want, wide
from fuzz.cases_products import Geometry, flushed
from fuzz.networks import pick

FINITE = tuple(kind for kind in KINDS if kind != "special")


class Transposed(Geometry):
    """The sizes of a transposed convolution: those of the convolution whose gradient it is."""

    def __init__(self, rng):
        super().__init__(rng)
        spare = []
        for axis in (0, 1):
            reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1
            spare.append(self.size[axis] + 2 * self.padding[axis] - reach - (self.grid[axis] - 1) * self.stride[axis])
        self.options["output_padding"] = tuple(spare)


def conv_transpose2d(rng, dtype):
    make, g = Numbers(rng, dtype, FINITE), Transposed(rng)
    x, w, bias = make.array(*g.y), make.plain(*g.w), make.plain(g.channels) if make.chance() else None
    added = 0.0 if bias is None else wide(bias)[:, None, None]
    size = g.data(np.abs(wide(x)) + np.abs(wide(x)).max(initial=0), g.spread(wide(w))) + np.abs(added)
    terms = g.terms * g.filters
    result = want(g.data(wide(x), wide(w)) + added, size, dtype, 8 + terms, True, flushed(terms, x, w, dtype=dtype))
    return Case(
        (x, w, bias), lambda x, w, bias, **out: (ops.conv_transpose2d(x, w, bias=bias, **g.options, **out),),
        (result,), {"out": 0},
    )  # fmt: skip


def conv_transpose2d_backward(rng, dtype):
    make, g = Numbers(rng, dtype, FINITE), Transposed(rng)
    dy, x, w = make.array(*g.x), make.plain(*g.y), make.plain(*g.w)
    need_db, need_dx = make.chance(0.8), make.chance(0.8)
    absolute = np.abs(wide(dy)) + np.abs(wide(dy)).max(initial=0)
    positions = g.n * g.grid[0] * g.grid[1]
    mixed = np.abs(wide(x)) + np.abs(wide(x)).max(initial=0)
    dw = want(
        g.weights(wide(x), wide(dy)), g.weights(mixed, absolute), dtype, 8 + positions, True,
        flushed(positions, x, dy, dtype=dtype),
    )  # fmt: skip
    count = dy.size // max(1, g.channels)
    db = want(wide(dy).sum((0, 2, 3)), np.abs(wide(dy)).sum((0, 2, 3)), dtype, 8 + count, True)
    size = g.forward(absolute, g.spread(wide(w)))
    lost = flushed(g.terms, dy, w, dtype=dtype)
    dx = want(g.forward(wide(dy), wide(w)), size, dtype, 8 + g.terms, True, lost)

    def call(dy, x, w, **out):
        return ops.conv_transpose2d_backward(dy, x, w, need_db=need_db, need_dx=need_dx, **g.options, **out)

    outputs = {"dw": 0} | ({"db": 1} if need_db else {}) | ({"dx": 2} if need_dx else {})
    return Case((dy, x, w), call, (dw, db if need_db else None, dx if need_dx else None), outputs)


def resampling(rng):
    """Return the shape of images, the arguments of the op, and the matrices that resample rows and columns."""
    shape = (pick(rng, 0, 1, 2), pick(rng, 1, 3), pick(rng, *SMALL[1:]), pick(rng, *SMALL[1:]))
    if rng.random() < 0.5:
        how = {"size": (pick(rng, 1, 2, 5, 9), pick(rng, 1, 3, 8))}
        target, factors = how["size"], None
    else:
        factors = pick(rng, (2.0, 2.0), (1.0, 3.0), (2.5, 1.7))
        how = {"scale_factor": factors}
        target = tuple(int(length * factor) for length, factor in zip(shape[2:], factors, strict=True))
    mode, corners = pick(rng, ("nearest", False), ("bilinear", False), ("bilinear", True))
    matrices = [
        matrix(shape[2 + axis], target[axis], factors[axis] if factors else None, mode, corners) for axis in (0, 1)
    ]
    return shape, how | {"mode": mode, "align_corners": corners}, target, matrices


def matrix(length, count, factor, mode, corners):
    """Return the weights of the input's pixels in each pixel of the output, along one axis."""
    weights = np.zeros((count, length))
    for i in range(count):
        if corners:
            at = i * (length - 1) / max(count - 1, 1)
        else:
            half = 0.5 if mode == "bilinear" else 0.0
            at = max((i + half) * (length / count if factor is None else 1 / factor) - half, 0)
        if mode == "nearest":
            at = np.floor(at + 1e-9)
        low = min(int(at), length - 1)
        weights[i, low] += 1 - (at - low)
        weights[i, min(low + 1, length - 1)] += at - low
    return weights


def upsample(rng, dtype):
    make, (shape, how, _, (rows, columns)) = Numbers(rng, dtype, FINITE), resampling(rng)
    x = make.array(*shape)
    value, size = (np.einsum("ih,nchw,jw->ncij", rows, a, columns) for a in (wide(x), np.abs(wide(x)) + 0.0))
    largest = size + np.abs(wide(x)).max(axis=(2, 3), keepdims=True, initial=0)  # places are rounded
    result = want(value, largest, dtype, 32)
    return Case((x,), lambda x, **out: (ops.upsample(x, **how, **out),), (result,), {"out": 0})


def upsample_backward(rng, dtype):
    make, (shape, how, target, (rows, columns)) = Numbers(rng, dtype, FINITE), resampling(rng)
    dy = make.array(*shape[:2], *target)
    value = np.einsum("ih,ncij,jw->nchw", rows, wide(dy), columns)
    size = np.abs(wide(dy)).sum(axis=(2, 3), keepdims=True) + np.zeros(shape)
    result = want(value, size, dtype, 32)
    return Case((dy,), lambda dy, **out: (ops.upsample_backward(dy, shape, **how, **out),), (result,), {"out": 0})


def blocks_of(x, r):
    """Return images (n, channels, height, width) of which every r x r pixels come from as many channels of x."""
    n, channels, height, width = x.shape
    y = np.empty((n, channels // r**2, height * r, width * r))
    for i in range(r):
        for j in range(r):
            y[:, :, i::r, j::r] = x[:, i * r + j :: r**2]
    return y


def pixel_shuffle(rng, dtype):
    make, r = Numbers(rng, dtype), pick(rng, 1, 2, 3)
    x = make.array(pick(rng, 0, 1, 2), r**2 * pick(rng, 1, 3), pick(rng, *SMALL), pick(rng, *SMALL))
    result = want(blocks_of(wide(x), r), 0.0, dtype)
    return Case((x,), lambda x, **out: (ops.pixel_shuffle(x, r, **out),), (result,), {"out": 0})


def pixel_unshuffle(rng, dtype):
    make, r = Numbers(rng, dtype), pick(rng, 1, 2, 3)
    shape = (pick(rng, 0, 1, 2), r**2 * pick(rng, 1, 3), pick(rng, *SMALL), pick(rng, *SMALL))
    x = make.array(shape[0], shape[1] // r**2, shape[2] * r, shape[3] * r)
    expected = np.empty(shape)
    for i in range(r):
        for j in range(r):
            expected[:, i * r + j :: r**2] = wide(x)[:, :, i::r, j::r]
    result = want(expected, 0.0, dtype)
    return Case((x,), lambda x, **out: (ops.pixel_unshuffle(x, r, **out),), (result,), {"out": 0})


def copy_columns(rng, dtype):
    make, n = Numbers(rng, dtype), pick(rng, *SMALL)
    start, width, rest, out_start = (int(rng.integers(4)) for _ in range(4))
    source = make.array(n, start + width + rest)

    def call(source):
        out = np.full((len(source), out_start + width + 1), 7, dtype)
        return (ops.copy_columns(source, out, start=start, width=width, out_start=out_start),)

    wanted = np.full((n, out_start + width + 1), 7, dtype)
    wanted[:, out_start : out_start + width] = source[:, start : start + width]
    return Case((source,), call, (wanted,), {})


def table_of(rng, make):
    """Return whole numbers (n, columns) that name rows of a table, the column that does, and the table."""
    rows, columns = pick(rng, 1, 2, 7, 300), pick(rng, 1, 3)
    indices = rng.integers(rows, size=(pick(rng, *SIZES), columns)).astype(make.dtype)
    return indices, int(rng.integers(columns)), make.array(rows, pick(rng, *SMALL[1:]))


def embed(rng, dtype):
    make = Numbers(rng, dtype)
    indices, column, table = table_of(rng, make)
    wanted = table[indices[:, column].astype(int)]
    return Case(
        (indices, table), lambda indices, table, **out: (ops.embed(indices, table, column=column, **out),), (wanted,),
        {"out": 0},
    )  # fmt: skip


def embed_backward(rng, dtype):
    make = Numbers(rng, dtype, FINITE)
    indices, column, table = table_of(rng, make)
    start, padding = int(rng.integers(3)), pick(rng, None, int(rng.integers(len(table))))
    dy = make.array(len(indices), start + table.shape[1] + 1)
    one_hot = (indices[:, column, None] == np.arange(len(table))).astype(float).T
    if padding is not None:
        one_hot[padding] = 0
    part = wide(dy)[:, start : start + table.shape[1]]
    result = want(one_hot @ part, one_hot @ np.abs(part), dtype, 4 + len(indices))
    shape = table.shape

    def call(dy, indices):
        dtable = np.full(shape, 7, dtype)
        return (ops.embed_backward(dy, indices, dtable, column=column, start=start, padding_idx=padding),)

    return Case((dy, indices), call, (result,), {})


CASES = {
    "conv_transpose2d": conv_transpose2d,
    "conv_transpose2d_backward": conv_transpose2d_backward,
    "upsample": upsample,
    "upsample_backward": upsample_backward,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "copy_columns": copy_columns,
    "embed": embed,
    "embed_backward": embed_backward,
}
