"""Trials of matrix products, convolutions and pooling."""

import itertools

import numpy as np
from activation_formulas import FORWARD, SLOPES
from fuzz.arrays import KINDS, SIZES, SMALL
from fuzz.cases import Case, Numbers, Want, ops, want, wide
from fuzz.cases_elementwise import PIECEWISE, activated, parameter_of
from fuzz.networks import pick

NAMES = (None, None, None, *ops.ACTIVATIONS)
FINITE = tuple(kind for kind in KINDS if kind != "special")


def behind(result, name, alpha, dtype):
    """Return the Want of an activation behind a product, given that of the product."""
    if name is None:
        return result
    y, error = activated(name, alpha, result.value, result.tolerance, dtype)
    return Want(y, np.where(np.isfinite(result.value) & ~np.isnan(error), error, np.inf), True)


def flushed(count, *arrays, dtype):
    """Return what products of so many terms may be off by because compiled ones count denormals as 0."""
    largest = [np.abs(array[np.isfinite(array)]).max(initial=0) for array in arrays]
    return count * float(np.finfo(dtype).smallest_normal) * sum(largest)


def option(name, alpha):
    return None if name is None else (name, alpha or None)


def matmul(rng, dtype):
    make, name = Numbers(rng, dtype), pick(rng, *NAMES)
    alpha, trans_a, trans_b = parameter_of(rng, name), make.chance(0.3), make.chance(0.3)
    m, n, k = pick(rng, *SIZES), pick(rng, *SIZES), pick(rng, *SIZES)
    a, b = make.array(*((k, m) if trans_a else (m, k))), make.array(*((n, k) if trans_b else (k, n)))
    bias = make.array(n) if make.chance() else None
    left, right = (wide(a).T if trans_a else wide(a)), (wide(b).T if trans_b else wide(b))
    added = 0 if bias is None else wide(bias)
    size = np.abs(left) @ np.abs(right) + np.abs(added)
    pre = want(left @ right + added, size, dtype, 4 + k, True, flushed(k, left, right, dtype=dtype))
    kept = make.chance(0.3)
    options = {"trans_a": trans_a, "trans_b": trans_b, "activation": option(name, alpha)}

    def call(a, b, bias, **out):
        pre_out = np.empty((m, n), dtype) if kept else None
        return ops.matmul(a, b, bias=bias, pre_out=pre_out, **options, **out), pre_out

    return Case((a, b, bias), call, (behind(pre, name, alpha, dtype), pre if kept and name else None), {"out": 0})


class Gradient:
    """dy f' with its error, for the backward passes that undo an activation."""

    def __init__(self, make, shape, dtype):
        self.name = pick(make.rng, *NAMES)
        self.alpha = parameter_of(make.rng, self.name)
        self.dy, self.saved = make.array(*shape), None
        self.value, self.error = wide(self.dy), np.zeros(shape)
        if self.name is not None:
            self.saved = make.plain(*shape)
            if not ops.ACTIVATIONS[self.name].needs_input:
                self.saved = FORWARD[self.name](wide(self.saved), self.alpha).astype(dtype)
            slope = SLOPES[self.name](wide(self.saved), self.alpha)
            piecewise = self.name in PIECEWISE
            with np.errstate(invalid="ignore"):
                self.value = np.where(slope == 0, 0, self.value * slope) if piecewise else self.value * slope
            # Sums such as y + alpha cancel, and alpha is rounded to the dtype.
            cancels = self.name in ("elu", "selu", "celu", "hardswish")
            units = 4 * np.abs(slope) + 4 * cancels if piecewise else 60
            with np.errstate(invalid="ignore"):
                self.error = np.abs(wide(self.dy)) * float(np.finfo(dtype).eps) * units
            if piecewise and self.name != "relu":  # infinity times 0, where the activation is constant: 0 or NaN
                self.error[(slope == 0) & ~np.isfinite(self.dy)] = np.inf
        self.size = np.abs(self.value)

    def options(self, dtype):
        return {"activation": option(self.name, self.alpha)}


def linear_backward(rng, dtype):
    make = Numbers(rng, dtype)
    n, inputs, outputs = pick(rng, *SIZES), pick(rng, *SIZES), pick(rng, *SIZES)
    g = Gradient(make, (n, outputs), dtype)
    x, w, need_db, need_dx = make.plain(n, inputs), make.plain(inputs, outputs), make.chance(0.8), make.chance(0.8)

    def result(f, count):
        error = f(g.error) + flushed(count, g.value, wide(x), wide(w), dtype=dtype)
        return want(f(g.value, plain=True), f(g.size), dtype, 4 + count, True, error)

    wants = (
        result(lambda t, plain=False: (wide(x).T if plain else np.abs(wide(x)).T) @ t, n),
        result(lambda t, plain=False: t.sum(axis=0), n) if need_db else None,
        result(lambda t, plain=False: t @ (wide(w) if plain else np.abs(wide(w))).T, outputs) if need_dx else None,
    )

    def call(dy, x, w, saved, **out):
        options = {"need_db": need_db, "need_dx": need_dx, "saved": saved}
        return ops.linear_backward(dy, x, w, **g.options(dtype), **options, **out)

    outputs = {"dw": 0} | ({"db": 1} if need_db else {}) | ({"dx": 2} if need_dx else {})
    return Case((g.dy, x, w, g.saved), call, wants, outputs)


class Geometry:
    """A convolution's sizes, and its sums as loops over the elements of the window."""

    def __init__(self, rng):
        self.groups = pick(rng, 1, 1, 1, 2, 3)
        depth, self.filters = pick(rng, 1, 2, 3, 5, 9, 33), self.groups * pick(rng, 1, 2, 7, 9, 32)
        if rng.random() < 0.2:  # depthwise
            self.groups = pick(rng, 2, 5, 8, 17)
            depth, self.filters = 1, self.groups
        self.n, self.channels = pick(rng, 0, 1, 1, 2, 3), depth * self.groups
        self.kernel = pick(rng, (3, 3), (3, 3), (1, 1), (2, 2), (5, 5), (1, 3), (3, 2))
        self.stride, self.dilation = pick(rng, (1, 1), (1, 1), (2, 2), (1, 3)), pick(rng, (1, 1), (1, 1), (2, 1))
        self.padding = pick(rng, (0, 0), (1, 1), (1, 1), (2, 0))
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        self.size = tuple(
            max(pick(rng, 1, 2, 3, 5, 8, 9, 16, 17), r - 2 * p) for r, p in zip(reach, self.padding, strict=True)
        )
        self.grid = tuple(
            (s + 2 * p - r) // t + 1 for s, p, r, t in zip(self.size, self.padding, reach, self.stride, strict=True)
        )
        self.x = self.n, self.channels, *self.size
        self.w = self.filters, depth, *self.kernel
        self.y = self.n, self.filters, *self.grid
        names = ("stride", "padding", "dilation")
        self.options = {name: getattr(self, name) for name in names} | {"groups": self.groups}
        self.terms = depth * self.kernel[0] * self.kernel[1]

    def windows(self, x):
        """Yield (row, column, x under that element of all windows)."""
        (p, q), (s, t), (d, e) = self.padding, self.stride, self.dilation
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (q, q)))
        rows, columns = self.grid
        for r, c in itertools.product(range(self.kernel[0]), range(self.kernel[1])):
            yield r, c, padded[:, :, r * d : r * d + (rows - 1) * s + 1 : s, c * e : c * e + (columns - 1) * t + 1 : t]

    def grouped(self, x):
        return x.reshape(x.shape[0], self.groups, -1 if x.size else x.shape[1] // self.groups, *x.shape[2:])

    def forward(self, x, w):
        w = w.reshape(self.groups, -1, *self.w[1:])
        total = np.zeros((self.n, self.groups, w.shape[1], *self.grid))
        for r, c, under in self.windows(x):
            total += np.einsum("ngcij,gkc->ngkij", self.grouped(under), w[..., r, c], optimize=True)
        return total.reshape(self.y)

    def weights(self, dy, x):
        dw = np.zeros((self.groups, self.filters // self.groups, *self.w[1:]))
        for r, c, under in self.windows(x):
            dw[..., r, c] = np.einsum("ngkij,ngcij->gkc", self.grouped(dy), self.grouped(under), optimize=True)
        return dw.reshape(self.w)

    def data(self, dy, w):
        w = w.reshape(self.groups, -1, *self.w[1:])
        (p, q), (height, width) = self.padding, self.size
        padded = np.zeros((self.n, self.channels, height + 2 * p, width + 2 * q))
        positions = {(r, c): under for r, c, under in self.windows_of(padded)}
        for (r, c), under in positions.items():
            under += np.einsum("ngkij,gkc->ngcij", self.grouped(dy), w[..., r, c], optimize=True).reshape(under.shape)
        return padded[:, :, p : p + height, q : q + width]

    def windows_of(self, padded):
        kept, self.padding = self.padding, (0, 0)
        views = list(self.windows_in(padded))
        self.padding = kept
        return views

    def windows_in(self, padded):
        (s, t), (d, e), (rows, columns) = self.stride, self.dilation, self.grid
        for r, c in itertools.product(range(self.kernel[0]), range(self.kernel[1])):
            yield r, c, padded[:, :, r * d : r * d + (rows - 1) * s + 1 : s, c * e : c * e + (columns - 1) * t + 1 : t]

    def spread(self, w):
        """Return the sum of each kernel at every element of it: Winograd's products mix a window's elements."""
        return (
            np.broadcast_to(np.abs(w).sum(axis=(2, 3), keepdims=True), w.shape) if self.kernel == (3, 3) else np.abs(w)
        )


def conv2d(rng, dtype):
    make, g, name = Numbers(rng, dtype), Geometry(rng), pick(rng, *NAMES)
    alpha = parameter_of(rng, name)
    # Zero of the border times a weight that is not finite: some kernels take it, some leave the border out.
    x, w = make.array(*g.x), (Numbers(rng, dtype, FINITE) if any(g.padding) else make).array(*g.w)
    bias = make.array(g.filters) if make.chance() else None
    added = 0.0 if bias is None else wide(bias)[:, None, None]
    size = g.forward(np.abs(wide(x)), g.spread(wide(w))) + np.abs(added)
    lost = flushed(g.terms, wide(x), wide(w), dtype=dtype)
    pre = want(g.forward(wide(x), wide(w)) + added, size, dtype, 8 + g.terms, True, lost)
    kept = make.chance(0.3)

    def call(x, w, bias, **out):
        pre_out = np.empty(g.y, dtype) if kept else None
        return ops.conv2d(x, w, bias=bias, pre_out=pre_out, activation=option(name, alpha), **g.options, **out), pre_out

    return Case((x, w, bias), call, (behind(pre, name, alpha, dtype), pre if kept and name else None), {"out": 0})


def conv2d_backward(rng, dtype):
    make, geometry = Numbers(rng, dtype, FINITE), Geometry(rng)
    g = Gradient(make, geometry.y, dtype)
    x, w, need_db, need_dx = make.plain(*geometry.x), make.plain(*geometry.w), make.chance(0.8), make.chance(0.8)
    positions = geometry.n * geometry.grid[0] * geometry.grid[1]
    mixed = geometry.kernel == (3, 3)

    def result(f, other, size_of, count):
        size, error = f(g.size + (g.size.max(initial=0) if mixed else 0), size_of), f(g.error, size_of)
        lost = flushed(count, g.value, other, dtype=dtype)
        return want(f(g.value, other), size, dtype, 8 + count, True, error + lost)

    absolute = np.abs(wide(x)) + (np.abs(wide(x)).max(initial=0) if mixed else 0)
    wants = (
        result(geometry.weights, wide(x), absolute, positions),
        want(g.value.sum((0, 2, 3)), g.size.sum((0, 2, 3)), dtype, 8 + positions, True, g.error.sum((0, 2, 3))),
        result(geometry.data, wide(w), geometry.spread(wide(w)), geometry.terms * geometry.filters),
    )

    def call(dy, x, w, saved, **out):
        return ops.conv2d_backward(
            dy, x, w, saved=saved, need_db=need_db, need_dx=need_dx, **g.options(dtype), **geometry.options, **out
        )

    wants = (wants[0], wants[1] if need_db else None, wants[2] if need_dx else None)
    outputs = {"dw": 0} | ({"db": 1} if need_db else {}) | ({"dx": 2} if need_dx else {})
    return Case((g.dy, x, w, g.saved), call, wants, outputs)


class Pooling:
    """A pooling's sizes, and the elements of all its windows."""

    def __init__(self, rng, dilated):
        self.kernel, self.ceil = pick(rng, (2, 2), (3, 3), (1, 2), (3, 1), (5, 2)), bool(rng.integers(2))
        self.stride = pick(rng, self.kernel, (1, 1), (2, 2), (2, 3))
        self.dilation = pick(rng, (1, 1), (2, 1)) if dilated else (1, 1)
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        self.padding = tuple(int(rng.integers(r // 2 + 1)) for r in reach)
        self.size = tuple(max(pick(rng, *SMALL[1:]), r - 2 * p) for r, p in zip(reach, self.padding, strict=True))
        self.shape = (pick(rng, 0, 1, 2), pick(rng, *SMALL), *self.size)
        self.grid = tuple(map(self.windows_along, self.size, self.padding, reach, self.stride))
        self.y = (*self.shape[:2], *self.grid)
        self.options = {"stride": self.stride, "padding": self.padding}

    def windows_along(self, size, padding, reach, stride):
        """Count the windows, one by one, by where each begins."""
        begins = range(-padding, size + padding, stride)
        return sum(
            b + reach <= size + padding or (self.ceil and b < size and b - stride + reach < size + padding)
            for b in begins
        )

    def places(self, axis):
        """Return which row (or column) of the image lies under each element of each window: (windows, elements)."""
        begins = np.arange(self.grid[axis]) * self.stride[axis] - self.padding[axis]
        return begins[:, None] + np.arange(self.kernel[axis]) * self.dilation[axis]

    def elements(self, x):
        """Return (n, channels, rows, columns, elements of a window) and which of these lie within the image."""
        rows, columns = self.places(0), self.places(1)
        inside = [(at >= 0) & (at < size) for at, size in zip((rows, columns), self.size, strict=True)]
        r, c = (np.clip(at, 0, size - 1) for at, size in zip((rows, columns), self.size, strict=True))
        found = x[:, :, r[:, None, :, None], c[None, :, None, :]]
        valid = inside[0][:, None, :, None] & inside[1][None, :, None, :]
        shape = (*self.grid, self.kernel[0] * self.kernel[1])
        return found.reshape(*x.shape[:2], *shape), valid.reshape(shape)

    def scattered(self, parts):
        """Return the image to which the elements of the windows, (..., rows, columns, elements), are added."""
        dx = np.zeros(self.shape)
        parts = parts.reshape(*self.y, *self.kernel)
        rows, columns = self.places(0), self.places(1)
        for i, j, r, c in itertools.product(*map(range, (*self.grid, *self.kernel))):
            if 0 <= rows[i, r] < self.size[0] and 0 <= columns[j, c] < self.size[1]:
                dx[:, :, rows[i, r], columns[j, c]] += parts[:, :, i, j, r, c]
        return dx

    def shares(self, padded):
        """Return what each window's sum is divided by."""
        counts = []
        for axis in range(2):
            border = self.padding[axis] if padded else 0
            at = self.places(axis)
            counts.append(((at >= -border) & (at < self.size[axis] + border)).sum(axis=1))
        return counts[0][:, None] * counts[1]


def largest(p, x):
    """Return the maximum of every window and its first place, padding left out."""
    elements, valid = p.elements(x)
    candidates = np.where(valid, elements, -np.inf)
    top = candidates.max(axis=-1, keepdims=True)
    return top[..., 0], ((candidates == top) & valid).argmax(axis=-1).astype(np.uint16)


def max_pool2d(rng, dtype):
    make, p = Numbers(rng, dtype, FINITE), Pooling(rng, dilated=True)
    x = make.array(*p.shape)
    options = p.options | {"dilation": p.dilation, "ceil_mode": p.ceil}
    return Case(
        (x,), lambda x, **out: ops.max_pool2d(x, p.kernel, **options, **out), largest(p, x), {"out": 0, "index_out": 1}
    )


def max_pool2d_backward(rng, dtype):
    make, p = Numbers(rng, dtype), Pooling(rng, dilated=True)
    index = largest(p, make.plain(*p.shape))[1]
    dy = make.array(*p.y)
    chosen = np.arange(p.kernel[0] * p.kernel[1]) == index[..., None]
    parts = np.where(chosen, wide(dy)[..., None], 0)
    result = want(p.scattered(parts), p.scattered(np.abs(parts)), dtype, 4, loose=True)
    options = p.options | {"dilation": p.dilation}
    return Case(
        (dy,), lambda dy, **out: (ops.max_pool2d_backward(dy, index, p.shape, p.kernel, **options, **out),),
        (result,), {"out": 0},
    )  # fmt: skip


def avg_pool2d(rng, dtype):
    make, p, padded = Numbers(rng, dtype), Pooling(rng, dilated=False), bool(rng.integers(2))
    x = make.array(*p.shape)
    elements, valid = p.elements(wide(x))
    elements = np.where(valid, elements, 0)
    share = p.shares(padded)
    result = want(elements.sum(-1) / share, np.abs(elements).sum(-1) / np.minimum(share, 1), dtype, 4, loose=True)
    options = p.options | {"ceil_mode": p.ceil, "count_include_pad": padded}
    return Case((x,), lambda x, **out: (ops.avg_pool2d(x, p.kernel, **options, **out),), (result,), {"out": 0})


def avg_pool2d_backward(rng, dtype):
    make, p, padded = Numbers(rng, dtype), Pooling(rng, dilated=False), bool(rng.integers(2))
    dy = make.array(*p.y)
    parts = (wide(dy) / p.shares(padded))[..., None] * np.ones(p.kernel[0] * p.kernel[1])
    result = want(p.scattered(parts), p.scattered(np.abs(parts)), dtype, 8, loose=True)
    options = p.options | {"count_include_pad": padded}
    return Case(
        (dy,), lambda dy, **out: (ops.avg_pool2d_backward(dy, p.shape, p.kernel, **options, **out),), (result,),
        {"out": 0},
    )  # fmt: skip


def means(size, count):
    """Return the matrix (count, size) that takes the means of windows from floor(i n / m) to ceil((i + 1) n / m)."""
    matrix = np.zeros((count, size))
    for i in range(count):
        start, stop = i * size // count, -(-(i + 1) * size // count)
        matrix[i, start:stop] = 1 / (stop - start)
    return matrix


def adaptive(backward):
    def case(rng, dtype):
        make, size = Numbers(rng, dtype), (pick(rng, 1, 2, 3, 7), pick(rng, 1, 2, 5))
        shape = (pick(rng, 0, 1, 2), pick(rng, *SMALL), pick(rng, *SMALL[1:]), pick(rng, *SMALL[1:]))
        r, c = means(shape[2], size[0]), means(shape[3], size[1])
        given = make.array(*((*shape[:2], *size) if backward else shape))
        left, right = (r.T, c) if backward else (r, c.T)

        def f(t):
            with np.errstate(all="ignore"):
                return left @ t @ right

        clean = np.where(np.isfinite(given), wide(given), 0)
        spoilt = f((~np.isfinite(given)).astype(float)) > 0
        result = want(f(clean), f(np.abs(clean)) * shape[2] * shape[3], dtype, 4, loose=True)
        value = np.where(spoilt, np.nan, result.value)  # NaN or an infinity, and nothing else
        result = Want(value, np.broadcast_to(result.tolerance, value.shape), True)
        if backward:
            return Case(
                (given,), lambda dy, **o: (ops.adaptive_avg_pool2d_backward(dy, shape, **o),), (result,), {"out": 0}
            )
        return Case((given,), lambda x, **o: (ops.adaptive_avg_pool2d(x, size, **o),), (result,), {"out": 0})

    return case


CASES = {
    "matmul": matmul,
    "linear_backward": linear_backward,
    "conv2d": conv2d,
    "conv2d_backward": conv2d_backward,
    "max_pool2d": max_pool2d,
    "max_pool2d_backward": max_pool2d_backward,
    "avg_pool2d": avg_pool2d,
    "avg_pool2d_backward": avg_pool2d_backward,
    "adaptive_avg_pool2d": adaptive(backward=False),
    "adaptive_avg_pool2d_backward": adaptive(backward=True),
}
