"""Trials of softmax, its logarithm and gated linear units, and their gradients."""

import numpy as np
from fuzz.arrays import KINDS, SIZES, SMALL
from fuzz.cases import Case, Numbers, Want, count_of, ops, want, wide
from fuzz.networks import pick
from scipy import special


def shape_and_dim(rng):
    """Return a shape, and the dimension over which to sum, counted from either end."""
    shape = pick(
        rng, (pick(rng, *SMALL), pick(rng, *SIZES)), (2, 3, pick(rng, *SMALL), 5), (3, pick(rng, *SMALL), 150), (2, 301)
    )
    dim = int(rng.integers(1, len(shape)))
    return shape, pick(rng, dim, dim - len(shape))


def oracle(x, dim, log):
    with np.errstate(all="ignore"):
        if not count_of(x.shape):
            return x
        return (special.log_softmax if log else special.softmax)(x, axis=dim)


def named(log):
    return (ops.log_softmax, ops.log_softmax_backward) if log else (ops.softmax, ops.softmax_backward)


def forward(log):
    def case(rng, dtype):
        make, (shape, dim) = Numbers(rng, dtype), shape_and_dim(rng)
        x = make.array(*shape)
        value, eps = oracle(wide(x), dim, log), float(np.finfo(dtype).eps)
        largest = np.abs(wide(x)).max(axis=dim, keepdims=True, initial=0) + np.zeros(shape)
        tolerance = 6 * eps * np.abs(value) + 64 * float(np.finfo(dtype).smallest_normal)
        # Both round the difference from the largest: an error relative to that difference.
        tolerance = tolerance + (eps * (8 + largest) if log else 2 * eps * np.abs(value) * np.minimum(2 * largest, 200))
        unknown = np.isnan(value) | ~np.isfinite(largest) | (largest > float(np.finfo(dtype).max) / 4)
        result = Want(value, np.where(unknown, np.inf, tolerance))
        return Case((x,), lambda x, **out: (named(log)[0](x, dim, **out),), (result,), {"out": 0}, {"out": 0})

    return case


def backward(log):
    def case(rng, dtype):
        make, (shape, dim) = Numbers(rng, dtype), shape_and_dim(rng)
        dy = make.array(*shape)
        y = oracle(wide(make.plain(*shape)), dim, log).astype(dtype)
        share, wide_dy = (np.exp(wide(y)) if log else wide(y)), wide(dy)
        total, size = (
            (terms if log else terms * share).sum(axis=dim, keepdims=True) for terms in (wide_dy, np.abs(wide_dy))
        )
        value = wide_dy - share * total if log else share * (wide_dy - total)
        result = want(value, np.abs(wide_dy) + size, dtype, 8, loose=True)
        return Case(
            (dy, y), lambda dy, y, **out: (named(log)[1](dy, y, dim, **out),), (result,), {"out": 0},
            {"out": pick(rng, 0, 1)},
        )  # fmt: skip

    return case


def halves(rng, dtype):
    """Return the makers of numbers, an array, the dimension along which it is halved, and both halves in float64."""
    make, (shape, dim) = Numbers(rng, dtype, tuple(kind for kind in KINDS if kind != "special")), shape_and_dim(rng)
    shape = tuple(2 * size if axis == dim % len(shape) else size for axis, size in enumerate(shape))
    x = make.array(*shape)
    return make, x, dim, *np.split(wide(x), 2, axis=dim)


def glu(rng, dtype):
    _, x, dim, a, b = halves(rng, dtype)
    gate, flushed = special.expit(b), 64 * float(np.finfo(dtype).smallest_normal)  # tiny gates may come out as 0
    result = want(a * gate, a * gate, dtype, 24, extra=flushed * np.abs(a))
    return Case((x,), lambda x, **out: (ops.glu(x, dim, **out),), (result,), {"out": 0})


def glu_backward(rng, dtype):
    make, x, dim, a, b = halves(rng, dtype)
    dy = make.array(*a.shape)
    gate, flushed = special.expit(b), 64 * float(np.finfo(dtype).smallest_normal)
    both, both_gates = np.abs(wide(dy) * np.stack([np.ones_like(a), a])), np.stack([gate, gate * special.expit(-b)])
    values = np.concatenate(list(wide(dy) * np.stack([np.ones_like(a), a]) * both_gates), axis=dim)
    # 1 - s is rounded: an error relative to s. The product of dy and a may leave the range before the gate is applied.
    sizes = np.where(both > float(np.finfo(dtype).max) / 8, np.inf, both * gate)
    result = want(
        values, np.concatenate(list(sizes), axis=dim), dtype, 24, extra=flushed * np.concatenate(list(both), axis=dim)
    )
    return Case((dy, x), lambda dy, x, **out: (ops.glu_backward(dy, x, dim, **out),), (result,), {"out": 0})


CASES = {
    "glu": glu,
    "glu_backward": glu_backward,
    "softmax": forward(False),
    "log_softmax": forward(True),
    "softmax_backward": backward(False),
    "log_softmax_backward": backward(True),
}
