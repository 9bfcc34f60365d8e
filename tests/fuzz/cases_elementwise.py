"""Trials of activations, dropout, PReLU, maxout and what watches outputs."""

import numpy as np
from activation_formulas import FORWARD, SLOPES
from fuzz.arrays import KINDS, SIZES, SMALL
from fuzz.cases import Case, Numbers, Want, count_of, free, ops, want, wide
from fuzz.networks import pick
from pynn.kernels.codes import ActivationCode
from scipy import special

FINITE = tuple(kind for kind in KINDS if kind != "special")


PIECEWISE = ("relu", "leaky_relu", "elu", "selu", "celu", "relu6", "hardsigmoid", "hardswish")
#: Their derivative is 0 somewhere, where not even an infinity passes.
CUT = ("relu", "relu6", "hardsigmoid", "hardswish")
#: Their exponents are rounded; far below 0 all digits are theirs.
ROUNDED = ("softplus", "logsigmoid", "gelu", "gelu_tanh", "silu", "mish")
PARAMETERS = {"leaky_relu": (0.01, 0.3), "elu": (1.0, 0.3), "celu": (1.0, 0.3), "softplus": (1.0, 3.0)}


def parameter_of(rng, name):
    return pick(rng, *PARAMETERS.get(name, (0.0,)))


def forward_error(name, x, y, alpha, dtype):
    """Return how far an activation's result may be from the exact one, for the exact input."""
    eps = float(np.finfo(dtype).eps)
    tolerance = 6 * eps * np.abs(y)
    if name == "hardsigmoid":  # the sum x + 3 is rounded
        tolerance = tolerance + eps
    if name == "hardswish":
        tolerance = tolerance + eps * np.abs(x)
    if name in ROUNDED:
        rate = alpha if name == "softplus" else 1.0
        tolerance = tolerance + 8 * eps * np.abs(y) * np.minimum(np.abs(rate * x), 200.0) ** (
            3 if "gelu" in name else 1
        )
    return np.where(np.isnan(tolerance), 0, tolerance) + 1024 * float(np.finfo(dtype).smallest_normal)


def activated(name, alpha, z, error, dtype):
    """Return f(z) and how far off it may be, given how far off z may be."""
    if name is None:
        return z, error
    steepest = {"selu": 1.8, "elu": max(1.0, alpha), "leaky_relu": max(1.0, alpha)}.get(name, 1.2)
    y = FORWARD[name](z, alpha)
    return y, forward_error(name, z, y, alpha, dtype) + steepest * error


def hardtanh(rng, dtype):
    make, (low, high) = Numbers(rng, dtype), pick(rng, (-1.0, 1.0), (0.0, 6.0), (-0.25, 3.5))
    x = make.array(*shape_of(rng))
    value = np.clip(x, low, high)
    return Case((x,), lambda x, **out: (ops.hardtanh(x, low, high, **out),), (value,), {"out": 0}, {"out": 0})


def hardtanh_backward(rng, dtype):
    make, (low, high), shape = Numbers(rng, dtype), pick(rng, (-1.0, 1.0), (0.0, 6.0), (-0.25, 3.5)), shape_of(rng)
    dy, x = make.array(*shape), make.array(*shape)
    value = np.where((x <= low) | (x >= high), 0, dy)
    return Case(
        (dy, x), lambda dy, x, **out: (ops.hardtanh_backward(dy, x, low, high, **out),), (value,), {"out": 0},
        {"out": pick(rng, 0, 1)},
    )  # fmt: skip


def shape_of(rng):
    return pick(rng, (pick(rng, *SIZES),), (pick(rng, *SMALL), pick(rng, *SIZES)), (2, 3, pick(rng, *SMALL), 5), (301,))


def forward(name):
    def case(rng, dtype):
        make, alpha = Numbers(rng, dtype), parameter_of(rng, name)
        x = make.array(*shape_of(rng))
        y = FORWARD[name](wide(x), alpha)
        tolerance = forward_error(name, wide(x), y, alpha, dtype)
        tolerance = np.where(np.abs(y) > float(np.finfo(dtype).max), np.inf, tolerance)  # SELU's factor
        op, options = named(name, alpha)
        return Case(
            (x,), lambda x, **out: (op(x, **options, **out),), (Want(y, tolerance, True),), {"out": 0}, {"out": 0}
        )

    return case


def named(name, alpha):
    """Return the op of an activation, and its parameter by the name that it has there."""
    word = {"leaky_relu": "negative_slope", "elu": "alpha", "celu": "alpha", "softplus": "beta"}.get(name)
    op = ops.gelu if name == "gelu_tanh" else getattr(ops, name)
    return op, {"approximate": "tanh"} if name == "gelu_tanh" else {word: alpha} if word else {}


def backward(name):
    def case(rng, dtype):
        make, alpha = Numbers(rng, dtype), parameter_of(rng, name)
        shape = shape_of(rng)
        dy, saved = make.array(*shape), make.array(*shape)
        if not ops.ACTIVATIONS[name].needs_input and make.chance(0.7):  # outputs that there can be
            saved = FORWARD[name](wide(saved), alpha).astype(dtype)
        slope = SLOPES[name](wide(saved), alpha)
        size = np.abs(slope) + np.abs(wide(saved)) ** 2 * (name in ("tanh", "sigmoid", "softsign"))
        if name == "celu":
            size = size + np.abs(wide(saved)) / alpha
        if name == "hardswish":
            size = size + 1
        if name in ("elu", "selu", "softplus", "logsigmoid"):
            size = size + np.abs(wide(saved)) + np.abs(wide(saved) * alpha * (slope - 1))
        if "gelu" in name or name in ("silu", "mish"):
            size = 20 * (size + 1)
        value = np.where(slope == 0, 0, wide(dy) * slope) if name in CUT else wide(dy) * slope
        # A dy that is denormal counts as 0. So does the slope of softplus and logsigmoid at a denormal output.
        small_slope = np.abs(wide(dy)) * (alpha or 1.0) * (name in ("softplus", "logsigmoid"))
        lost = (small_slope + np.abs(slope)) * float(np.finfo(dtype).smallest_normal)
        result = want(value, np.abs(wide(dy)) * size, dtype, 6, loose=True, extra=lost)
        undefined = ~np.isfinite(saved) | ~np.isfinite(dy) if name not in PIECEWISE else np.isnan(saved)
        huge = ~(size < float(np.finfo(dtype).max) / 8)
        result = result._replace(tolerance=np.where(undefined | huge, np.inf, result.tolerance))
        op = getattr(ops, ("gelu" if name == "gelu_tanh" else name) + "_backward")
        options = named(name, alpha)[1]
        return Case(
            (dy, saved), lambda dy, saved, **out: (op(dy, saved, **options, **out),), (result,), {"out": 0}, {"out": 0}
        )

    return case


def add(rng, dtype):
    make, shape = Numbers(rng, dtype), shape_of(rng)
    a, b = make.array(*shape), make.array(*shape)
    result = want(wide(a) + wide(b), np.abs(wide(a)) + np.abs(wide(b)), dtype, 1)
    return Case((a, b), lambda a, b, **out: (ops.add(a, b, **out),), (result,), {"out": 0}, {"out": pick(rng, 0, 1)})


def kept(seed, start, count, p):
    """Return which elements a stream keeps: the top 24 bits of SplitMix64 are at least p 2^24."""
    z = np.uint64(seed) + np.arange(start + 1, start + 1 + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) >> np.uint64(40) >= np.uint64(int(p * 2**24))


def dropout(op, by_channel=False):
    def case(rng, dtype):
        make = Numbers(rng, dtype)
        shape = pick(rng, (2, 3, pick(rng, *SIZES)), (pick(rng, *SMALL), 4, 3, 2)) if by_channel else shape_of(rng)
        x, p = make.array(*shape), pick(rng, 0.0, 0.25, 0.5, 0.9, 1.0)
        seed, start = int(rng.integers(2**64, dtype=np.uint64)), int(rng.integers(2**40))
        decisions = count_of(shape[:2]) if by_channel else count_of(shape)
        keep = kept(seed, start, decisions, p).reshape(shape[:2] + (1,) * (len(shape) - 2) if by_channel else shape)
        value = np.where(keep, wide(x) / (1 - p if p < 1 else np.inf), 0)
        result = want(value, np.abs(value), dtype, 3)
        draw = (seed, start) if make.chance() else np.array([seed, start], np.uint64)
        return Case((x,), lambda x, **out: (op(x, p, draw, **out),), (result,), {"out": 0}, {"out": 0})

    return case


def advance(rng, dtype):
    seed, start, count = int(rng.integers(2**63)), int(rng.integers(2**40)), int(rng.integers(2**40))

    def call():
        stream = np.array([seed, start], np.uint64)
        return ops.advance(stream, count), stream

    return Case((), call, (np.array([seed, start], np.uint64), np.array([seed, start + count], np.uint64)), {})


def prelu_shapes(rng, make):
    shape = pick(
        rng, (pick(rng, *SMALL), pick(rng, *SIZES[1:])), (2, 3, 5, pick(rng, *SMALL)), (pick(rng, *SIZES[1:]),)
    )
    units = shape[1] if len(shape) > 1 else shape[0]
    slope = make.plain(pick(rng, 1, units))
    per_element = wide(slope).reshape((-1,) + (1,) * max(len(shape) - 2, 0)) + np.zeros(shape)
    return shape, slope, per_element


def prelu(rng, dtype):
    make = Numbers(rng, dtype)
    shape, slope, per_element = prelu_shapes(rng, make)
    x = make.array(*shape)
    value = np.where(wide(x) < 0, per_element * wide(x), wide(x))
    return Case(
        (x, slope), lambda x, s, **out: (ops.prelu(x, s, **out),), (want(value, np.abs(value), dtype, 2, True),),
        {"out": 0}, {"out": 0},
    )  # fmt: skip


def prelu_backward(rng, dtype):
    make = Numbers(rng, dtype)
    shape, slope, per_element = prelu_shapes(rng, make)
    x, dy = make.array(*shape), make.array(*shape)
    negative = wide(x) < 0
    dx = want(np.where(negative, per_element * wide(dy), wide(dy)), np.abs(wide(dy) * per_element), dtype, 2, True)
    terms = np.where(negative, wide(dy) * wide(x), 0)
    axes = None if len(slope) == 1 else tuple(a for a in range(len(shape)) if a != min(1, len(shape) - 1))
    total, size = (np.sum(t, axis=axes).reshape(slope.shape) for t in (terms, np.abs(terms)))
    dslope = want(total, size, dtype, 8 + np.sqrt(count_of(shape)) * 4, loose=True)
    dx = dx._replace(tolerance=np.where(np.isnan(x), np.inf, dx.tolerance))
    return Case((dy, x, slope), ops.prelu_backward, (dx, dslope), {"dx": 0, "dslope": 1}, {"dx": 0})


def maxout(rng, dtype):
    make, pieces = Numbers(rng, dtype), pick(rng, 1, 2, 3, 5)
    n, units = pick(rng, *SMALL), pick(rng, *SIZES)
    x = make.array(n, units * pieces)
    value = x.reshape(n, pieces, units).max(axis=1)
    return Case((x,), lambda x, **out: (ops.maxout(x, pieces, **out),), (value,), {"out": 0})


def maxout_backward(rng, dtype):
    make, pieces = Numbers(rng, dtype, FINITE), pick(rng, 1, 2, 3, 5)
    n, units = pick(rng, *SMALL), pick(rng, *SIZES)
    x, dy = make.array(n, units * pieces), make.array(n, units)
    winner = x.reshape(n, pieces, units).argmax(axis=1)[:, None]
    dx = np.where(np.arange(pieces)[None, :, None] == winner, dy[:, None], 0).reshape(x.shape)
    return Case((dy, x), lambda dy, x, **out: (ops.maxout_backward(dy, x, pieces, **out),), (dx,), {"out": 0})


def unit_stats(rng, dtype):
    make = Numbers(rng, dtype, FINITE)
    y = make.array(*pick(rng, (pick(rng, *SMALL), pick(rng, *SIZES)), (2, pick(rng, *SMALL[1:]), 3, pick(rng, *SMALL))))
    code = pick(rng, ActivationCode.IDENTITY, ActivationCode.TANH, ActivationCode.SIGMOID)
    if code != ActivationCode.IDENTITY:
        y = (np.tanh(2 * y) if code == ActivationCode.TANH else special.expit(3 * y)).astype(dtype)
    axes = tuple(axis for axis in range(y.ndim) if axis != 1)
    rows = [wide(y).sum(axes), (wide(y) ** 2).sum(axes), (y > 0).sum(axes, dtype=np.float64), np.zeros(y.shape[1])]
    distance = np.abs(wide(y)) if code == ActivationCode.TANH else 2 * np.abs(wide(y) - 0.5)
    unclear = np.zeros(y.shape[1])
    if code != ActivationCode.IDENTITY:
        rows[3] = (distance > 0.98).sum(axes, dtype=np.float64)
        unclear = (np.abs(distance - 0.98) < 1e-6).sum(axes, dtype=np.float64)
    sizes = np.array([np.abs(wide(y)).sum(axes), rows[1], np.zeros(y.shape[1]), np.zeros(y.shape[1])])
    ulps = 8 + 4 * np.sqrt(y.size)
    stats = want(1 + np.array(rows), 1 + sizes, dtype, ulps, extra=np.stack([unclear] * 4))
    total = want(np.sum(rows, axis=1), sizes.sum(axis=1), dtype, ulps, extra=unclear.sum())

    def call(y):
        stats, total = np.ones((4, y.shape[1])), np.empty(4)
        ops.unit_stats(y, stats, code=code, total=total)
        return stats, total

    return Case((y,), call, (stats, total), {})


def square_sum(rng, dtype):
    x = Numbers(rng, dtype).array(*shape_of(rng))
    value = np.array([(wide(x) ** 2).sum()])
    result = Want(value, 1e-5 * np.abs(value) if dtype == np.float32 else 1e-13 * np.abs(value) + 1e-300)

    def call(x):
        out = np.empty(1)
        ops.square_sum(x, out)
        return (out,)

    return Case((x,), call, (result if np.isfinite(value).all() else free(value),), {})


def one_signed(rng, dtype):
    grad = Numbers(rng, dtype, FINITE).array(pick(rng, *SMALL), pick(rng, *SIZES))
    if rng.random() < 0.5:
        grad = np.abs(grad) * np.where(rng.random(grad.shape[1]) < 0.5, -1, 1).astype(dtype)
    up, down = (grad > 0).any(axis=0), (grad < 0).any(axis=0)
    share = (up != down).sum() / (up | down).sum() if (up | down).any() else np.nan

    def call(grad):
        out = np.empty(1)
        ops.one_signed(grad, out)
        return (out,)

    return Case((grad,), call, (np.array([share]),), {})


CASES = {name: forward(name) for name in FORWARD if name != "gelu_tanh"}
CASES |= {f"{name}_backward": backward(name) for name in SLOPES if name != "gelu_tanh"}
CASES |= {
    "gelu": lambda rng, dtype: forward(pick(rng, "gelu", "gelu_tanh"))(rng, dtype),
    "gelu_backward": lambda rng, dtype: backward(pick(rng, "gelu", "gelu_tanh"))(rng, dtype),
    "hardtanh": hardtanh,
    "hardtanh_backward": hardtanh_backward,
    "add": add,
    "dropout": dropout(ops.dropout),
    "dropout_backward": dropout(ops.dropout_backward),
    "dropout2d": dropout(ops.dropout2d, by_channel=True),
    "dropout2d_backward": dropout(ops.dropout2d_backward, by_channel=True),
    "advance": advance,
    "prelu": prelu,
    "prelu_backward": prelu_backward,
    "maxout": maxout,
    "maxout_backward": maxout_backward,
    "unit_stats": unit_stats,
    "square_sum": square_sum,
    "one_signed": one_signed,
}
