"""Trials of the normalisations: statistics in float64, and how far rounded ones carry."""

import numpy as np
from activation_formulas import FORWARD, SLOPES
from fuzz.arrays import SIZES, SMALL
from fuzz.cases import Case, Numbers, Want, ops, want, wide
from fuzz.cases_elementwise import activated, parameter_of
from fuzz.networks import groups_of, pick

EPS = (1e-5, 1e-3, 0.1)
SMOOTH = ("tanh", "sigmoid", "gelu", "silu", "softplus")


class Statistics:
    """Mean and variance of groups of elements, with what rounding can do to them."""

    def __init__(self, x, axes, eps, dtype):
        self.unit = float(np.finfo(dtype).eps)
        self.mean = x.mean(axes, keepdims=True)
        self.var = ((x - self.mean) ** 2).mean(axes, keepdims=True)
        self.largest = np.abs(x).max(axes, keepdims=True, initial=0)
        n = x.size / max(self.mean.size, 1)
        # The mean is off by a rounding, and so is each difference from it.
        self.mean_error = 4 * self.unit * self.largest + float(np.finfo(dtype).smallest_normal)
        self.var_error = (8 + np.sqrt(n)) * self.unit * self.var + 16 * (self.unit * self.largest) ** 2
        self.rstd = 1 / np.sqrt(self.var + eps)
        relative = self.var_error / (self.var + eps)
        self.rstd_error = np.where(relative > 0.1, np.inf, self.rstd * (4 * self.unit + relative))
        finite = np.isfinite(x).all(axes, keepdims=True)
        self.unknown = finite & ~(np.isfinite(self.var) & (self.var < float(np.finfo(np.float64).max) / 8))

    def normalized(self, x):
        """Return the normalised values, and how far off they may be."""
        z = (x - self.mean) * self.rstd
        error = self.rstd * (self.mean_error + 2 * self.unit * np.abs(x)) + np.abs(x - self.mean) * self.rstd_error
        return z, np.where(self.unknown | np.isnan(error), np.inf, error)


def statistic(value, error, unknown, dtype):
    """Return the Want of a mean or a standard deviation."""
    beyond = np.abs(value) > float(np.finfo(dtype).max) / 8
    return Want(value, np.where(unknown | beyond | np.isnan(error), np.inf, error), loose=True)


def not_finite_is_free(result, *arrays):
    """Say nothing where a statistic of a group is not finite: NaN or infinity, it is seen."""
    bad = ~np.isfinite(result.value)
    for array in arrays:
        bad = bad | ~np.isfinite(array)
    return result._replace(tolerance=np.where(bad, np.inf, result.tolerance))


def batchnorm_shape(rng, images):
    if images:
        return (pick(rng, 1, 2, 3), pick(rng, *SMALL), pick(rng, 2, 3, 5), pick(rng, *SMALL[1:]))
    return (pick(rng, 2, 3, 5, 9, 17, 67), pick(rng, *SIZES))


def running_wants(s, mean, var, momentum, n, dtype):
    """Return the Wants of the running statistics after a batch of `n` values per feature with statistics `s`."""
    batch_mean, batch_var, largest, var_error = (
        array.reshape(mean.shape) for array in (s.mean, s.var, s.largest, s.var_error)
    )
    new_mean = (1 - momentum) * wide(mean) + momentum * batch_mean
    new_var = (1 - momentum) * wide(var) + (momentum * batch_var * n / (n - 1) if momentum else 0)
    return (
        not_finite_is_free(want(new_mean, np.abs(mean) + largest, dtype, 8), new_mean),
        not_finite_is_free(want(new_var, new_var, dtype, 16 + np.sqrt(n), extra=2 * var_error), new_var),
    )


def batch_norm(images):
    op = ops.batch_norm2d if images else ops.batch_norm

    def case(rng, dtype):
        make = Numbers(rng, dtype)
        shape, momentum, eps = batchnorm_shape(rng, images), pick(rng, 0.1, 0.9), pick(rng, *EPS)
        name = pick(rng, None, None, "relu", "tanh", "gelu")
        alpha, features, training = parameter_of(rng, name), shape[1], make.chance(0.7)
        x, gamma, beta, mean = make.array(*shape), *(make.plain(features) for _ in range(3))
        var = np.abs(make.plain(features))
        axes = tuple(axis for axis in range(len(shape)) if axis != 1)
        s = Statistics(wide(x), axes, eps, dtype)
        line = (1, features, *(1,) * (len(shape) - 2))
        if not training:
            s.mean, s.rstd = wide(mean).reshape(line), 1 / np.sqrt(wide(var).reshape(line) + eps)
            s.mean_error, s.rstd_error, s.unknown = 0 * s.mean, 8 * s.unit * s.rstd, np.zeros(line, bool)
        z, error = s.normalized(wide(x))
        gamma_, beta_ = wide(gamma).reshape(line), wide(beta).reshape(line)
        y = gamma_ * z + beta_
        error = np.abs(gamma_) * error + 8 * s.unit * (
            np.abs(gamma_ * z) + np.abs(gamma_ * s.mean * s.rstd) + np.abs(beta_)
        )
        y, error = activated(name, alpha, y, error, dtype)
        y_wanted = not_finite_is_free(Want(y, error, True), s.mean + np.zeros(shape), s.var + np.zeros(shape))
        flat = [array.reshape(features) for array in (s.mean, s.mean_error, s.rstd, s.rstd_error, s.unknown, s.var)]
        wants = (
            y_wanted,
            statistic(flat[0], flat[1] + 0 * flat[5], flat[4], dtype),
            statistic(flat[2], flat[3], flat[4], dtype),
        )
        running = running_wants(s, mean, var, momentum if training else 0, x.size // max(features, 1), dtype)

        def call(x, gamma, beta, **out):
            state = mean.copy(), var.copy()
            activation = None if name is None else (name, alpha or None)
            options = {"momentum": momentum, "eps": eps, "training": training, "activation": activation}
            return *op(x, gamma, beta, *state, **options, **out), *state

        return Case((x, gamma, beta), call, (*wants, *running), {"out": 0, "mean_out": 1, "rstd_out": 2})

    return case


class Backward:
    """The gradient of a normalisation, from the arrays that its op is given, with the size of all terms."""

    def __init__(self, dy, x, gamma, mean, rstd, axes, n):
        self.z = (x - mean) * rstd
        self.size = (np.abs(x) + np.abs(mean)) * np.abs(rstd)
        g, g_size = dy * gamma, np.abs(dy * gamma)
        m1, m2 = (g.sum(axes, keepdims=True) / n, (g * self.z).sum(axes, keepdims=True) / n)
        s1, s2 = (g_size.sum(axes, keepdims=True) / n, (g_size * self.size).sum(axes, keepdims=True) / n)
        self.dx = rstd * (g - m1 - self.z * m2)
        self.dx_size = np.abs(rstd) * (g_size + s1 + self.size * s2)
        self.constant = rstd * g, np.abs(rstd) * g_size


def before_activation(name, alpha, dy, x, statistics, unit):
    """Return the gradient of the pre-activation, and how far rounding may move the pre-activation itself."""
    if name is None:
        return dy, 0.0
    g, b, m, r = statistics
    pre = g * (x - m) * r + b
    saved = pre if ops.ACTIVATIONS[name].needs_input else FORWARD[name](pre, alpha)
    return dy * SLOPES[name](saved, alpha), 3 * unit * (np.abs(g * r) * (np.abs(x) + np.abs(m)) + np.abs(b) + 4)


def batch_norm_backward(images):
    op = ops.batch_norm2d_backward if images else ops.batch_norm_backward

    def case(rng, dtype):
        make = Numbers(rng, dtype, ("ordinary", "ordinary", "scaled", "special", "ties"))
        shape, name, training = batchnorm_shape(rng, images), pick(rng, None, None, *SMOOTH), make.chance(0.7)
        alpha, features, need_dx = parameter_of(rng, name), shape[1], make.chance(0.8)
        x, dy = make.plain(*shape), make.array(*shape)
        gamma, beta, mean, rstd = (make.plain(features) for _ in range(4))
        axes = tuple(axis for axis in range(len(shape)) if axis != 1)
        line = (1, features, *(1,) * (len(shape) - 2))
        g, b, m, r = (wide(array).reshape(line) for array in (gamma, beta, mean, rstd))
        unit = float(np.finfo(dtype).eps)
        dz, pre_error = before_activation(name, alpha, wide(dy), wide(x), (g, b, m, r), unit)
        n = x.size // max(features, 1)
        of = Backward(dz, wide(x), g, m, r, axes, n)
        carried = Backward(np.abs(wide(dy)) * (pre_error + 16 * unit), wide(x), g, m, r, axes, n)
        value, size = (of.dx, of.dx_size) if training else of.constant
        extra = carried.dx_size if name is not None else 0.0
        ulps = 8 + np.sqrt(n)
        dx = not_finite_is_free(
            want(value, size, dtype, ulps, True, extra), wide(dy).sum(axes, keepdims=True) + 0 * value
        )
        sums = []
        for terms, sizes, carry in (
            (dz * of.z, np.abs(dz) * of.size, np.abs(wide(dy)) * of.size),
            (dz, np.abs(dz), np.abs(wide(dy))),
        ):
            error = (carry * (pre_error + 16 * unit)).sum(axes) if name is not None else 0.0
            sums.append(not_finite_is_free(want(terms.sum(axes), sizes.sum(axes), dtype, ulps, True, error)))
        options = {"activation": None if name is None else (name, alpha or None), "training": training}

        def call(dy, x, gamma, beta, mean, rstd, **out):
            return op(dy, x, gamma, beta, mean, rstd, need_dx=need_dx, **options, **out)

        outputs = {"dx": 0, "dgamma": 1, "dbeta": 2} if need_dx else {"dgamma": 1, "dbeta": 2}
        return Case((dy, x, gamma, beta, mean, rstd), call, (dx if need_dx else None, *sums), outputs)

    return case


def group_shape(rng):
    channels = pick(rng, *SIZES[1:])
    shape = (pick(rng, *SMALL), channels, *pick(rng, (), (pick(rng, *SMALL[1:]),), (3, pick(rng, *SMALL[1:]))))
    return shape, groups_of(rng, channels)


def group_norm(rng, dtype):
    make, (shape, groups), eps = Numbers(rng, dtype), group_shape(rng), pick(rng, *EPS)
    x, affine = make.array(*shape), make.chance(0.7)
    gamma, beta = (make.plain(shape[1]), make.plain(shape[1])) if affine else (None, None)
    y, mean, rstd = normalized_rows(
        wide(x).reshape(shape[0], groups, shape[1] // groups, int(np.prod(shape[2:]))), (2, 3), eps, dtype
    )
    y = scaled(y, gamma, beta, (groups, shape[1] // groups, 1), shape, dtype)
    return Case(
        (x, gamma, beta),
        lambda x, gamma, beta, **out: ops.group_norm(x, groups, gamma, beta, eps=eps, **out),
        (y, mean, rstd),
        {"out": 0, "mean_out": 1, "rstd_out": 2},
    )


def normalized_rows(x, axes, eps, dtype):
    """Return (z, error), and the Wants of mean and rstd of groups of elements."""
    if x.size == 0:
        empty = np.zeros(x.shape[: min(axes)])
        return (np.zeros(x.shape), np.zeros(x.shape)), Want(empty, empty), Want(empty, empty)
    s = Statistics(x, axes, eps, dtype)
    shape = s.mean.shape[: min(axes)]
    mean = statistic(s.mean.reshape(shape), s.mean_error.reshape(shape), s.unknown.reshape(shape), dtype)
    rstd = statistic(s.rstd.reshape(shape), s.rstd_error.reshape(shape), s.unknown.reshape(shape), dtype)
    z, error = s.normalized(x)
    error = error + 8 * s.unit * (np.abs(z) + np.abs(s.mean * s.rstd))
    return (z, np.where(np.isfinite(s.var) & np.isfinite(error), error, np.inf)), mean, not_finite_is_free(rstd)


def scaled(pair, gamma, beta, line, shape, dtype):
    """Return the Want of gamma z + beta."""
    z, error = pair
    unit = float(np.finfo(dtype).eps)
    if gamma is not None:
        g, b = wide(gamma).reshape(line), wide(beta).reshape(line)
        z, error = g * z + b, np.abs(g) * error + 8 * unit * (np.abs(g * z) + np.abs(b))
    error = error + 64 * float(np.finfo(dtype).smallest_normal)
    error = np.where(np.abs(z) > float(np.finfo(dtype).max) / 8, np.inf, error)
    return not_finite_is_free(Want(z.reshape(shape), np.broadcast_to(error, z.shape).reshape(shape), True))


def layer_shape(rng):
    over = pick(rng, (pick(rng, *SIZES[1:]),), (3, pick(rng, *SMALL[1:])), (2, 3, pick(rng, 1, 4)))
    return (pick(rng, *SMALL), *pick(rng, (), (2,)), *over), over


def layer_norm(rng, dtype):
    make, (shape, over), eps = Numbers(rng, dtype), layer_shape(rng), pick(rng, *EPS)
    x, affine = make.array(*shape), make.chance(0.7)
    gamma, beta = (make.plain(*over), make.plain(*over)) if affine else (None, None)
    rows = wide(x).reshape(-1, int(np.prod(over))) if x.size else np.zeros((0, int(np.prod(over))))
    y, mean, rstd = normalized_rows(rows[:, None], (2,), eps, dtype)
    y = scaled(y, gamma, beta, (1, 1, int(np.prod(over))), shape, dtype)
    return Case(
        (x, gamma, beta),
        lambda x, gamma, beta, **out: ops.layer_norm(x, over, gamma, beta, eps=eps, **out),
        (y, mean, rstd),
        {"out": 0, "mean_out": 1, "rstd_out": 2},
    )


def norm_gradient(make, dtype, rows, gamma_rows, axes, over_rows):
    """Return dy, x, mean and rstd as rows, the Want of dx, and functions that give those of dgamma and dbeta."""
    dy, x = make.array(*rows), make.plain(*rows)
    mean, rstd = make.plain(*rows[: min(axes)]), make.plain(*rows[: min(axes)])
    m, r = (wide(a).reshape(a.shape + (1,) * len(axes)) for a in (mean, rstd))
    n = int(np.prod([rows[axis] for axis in axes]))
    of = Backward(wide(dy), wide(x), gamma_rows, m, r, axes, max(n, 1))
    ulps = 8 + np.sqrt(n)
    dx = not_finite_is_free(want(of.dx, of.dx_size, dtype, ulps, True))
    sums = [
        not_finite_is_free(want(terms.sum(over_rows), sizes.sum(over_rows), dtype, 8 + np.sqrt(dy.size), True))
        for terms, sizes in ((wide(dy) * of.z, np.abs(wide(dy)) * of.size), (wide(dy), np.abs(wide(dy))))
    ]
    return dy, x, mean, rstd, dx, sums


def reshaped(result, shape):
    return Want(result.value.reshape(shape), np.broadcast_to(result.tolerance, result.value.shape).reshape(shape), True)


def gradient_case(op, arrays, wants, gamma, need_dx):
    outputs = ({"dx": 0} if need_dx else {}) | ({"dgamma": 1, "dbeta": 2} if gamma is not None else {})
    wants = (wants[0] if need_dx else None, *(wants[1:] if gamma is not None else (None, None)))
    return Case(arrays, lambda *given, **out: op(*given, need_dx=need_dx, **out), wants, outputs)


def group_norm_backward(rng, dtype):
    make, (shape, groups) = Numbers(rng, dtype, ("ordinary", "scaled", "special")), group_shape(rng)
    gamma = make.plain(shape[1]) if make.chance(0.7) else None
    rows = (shape[0], groups, shape[1] // groups, int(np.prod(shape[2:])))
    gamma_rows = 1.0 if gamma is None else wide(gamma).reshape(groups, -1, 1)
    dy, x, mean, rstd, dx, sums = norm_gradient(make, dtype, rows, gamma_rows, (2, 3), (0, 3))
    wants = (reshaped(dx, shape), *(reshaped(total, shape[1:2]) for total in sums))
    arrays = (dy.reshape(shape), x.reshape(shape), gamma, mean, rstd)
    return gradient_case(ops.group_norm_backward, arrays, wants, gamma, make.chance(0.8))


def layer_norm_backward(rng, dtype):
    make, (shape, over) = Numbers(rng, dtype, ("ordinary", "scaled", "special")), layer_shape(rng)
    gamma = make.plain(*over) if make.chance(0.7) else None
    size = int(np.prod(over))
    rows = (int(np.prod(shape)) // size, 1, size)
    gamma_rows = 1.0 if gamma is None else wide(gamma).reshape(1, -1)
    dy, x, mean, rstd, dx, sums = norm_gradient(make, dtype, rows, gamma_rows, (2,), (0, 1))
    wants = (reshaped(dx, shape), *(reshaped(total, over) for total in sums))
    arrays = (dy.reshape(shape), x.reshape(shape), gamma, mean, rstd)

    def op(dy, x, gamma, mean, rstd, **given):
        return ops.layer_norm_backward(dy, x, over, gamma, mean, rstd, **given)

    return gradient_case(op, arrays, wants, gamma, make.chance(0.8))


def rms_norm(rng, dtype):
    make, (shape, over), eps = Numbers(rng, dtype), layer_shape(rng), pick(rng, *EPS)
    x, gamma = make.array(*shape), make.plain(*over) if make.chance(0.7) else None
    size = int(np.prod(over))
    rows, g = wide(x).reshape(-1, size), 1.0 if gamma is None else wide(gamma).reshape(-1)
    rstd = 1 / np.sqrt(np.square(rows).mean(axis=1, keepdims=True) + eps)
    # Nothing is said of squares that overflow, nor of an rstd that is no normal number.
    largest = np.abs(rows).max(axis=1, keepdims=True) > (1e36 if dtype == np.float32 else 1e150)
    y = not_finite_is_free(want(rows * rstd * g, np.where(largest, np.inf, np.abs(rows * rstd * g)), dtype, 16, True))
    scales = not_finite_is_free(want(rstd, np.where(largest, np.inf, rstd), dtype, 16, True))
    return Case(
        (x, gamma),
        lambda x, gamma, **out: ops.rms_norm(x, over, gamma, eps=eps, **out),
        (reshaped(y, shape), scales),
        {"out": 0, "rstd_out": 1},
    )


def rms_norm_backward(rng, dtype):
    make, (shape, over) = Numbers(rng, dtype, ("ordinary", "scaled", "special")), layer_shape(rng)
    size = int(np.prod(over))
    rows = (int(np.prod(shape)) // size, size)
    dy, x, rstd = make.array(*rows), make.plain(*rows), make.plain(rows[0], 1)
    gamma, need_dx = make.plain(*over) if make.chance(0.7) else None, make.chance(0.8)
    g = wide(dy) * (1.0 if gamma is None else wide(gamma).reshape(-1))
    z, r, ulps = wide(x) * wide(rstd), wide(rstd), 8 + np.sqrt(size)
    along, along_size = ((terms).mean(axis=1, keepdims=True) for terms in (g * z, np.abs(g * z)))
    dx = want(r * (g - z * along), np.abs(r) * (np.abs(g) + np.abs(z) * along_size), dtype, ulps, True)
    total, total_size = ((terms).sum(axis=0) for terms in (wide(dy) * z, np.abs(wide(dy) * z)))
    dgamma = not_finite_is_free(want(total, total_size, dtype, 8 + np.sqrt(dy.size), True))
    wants = (
        reshaped(not_finite_is_free(dx), shape) if need_dx else None,
        None if gamma is None else reshaped(dgamma, over),
    )

    def op(dy, x, gamma, rstd, **given):
        return ops.rms_norm_backward(dy, x, over, gamma, rstd, need_dx=need_dx, **given)

    outputs = ({"dx": 0} if need_dx else {}) | ({} if gamma is None else {"dgamma": 1})
    return Case((dy.reshape(shape), x.reshape(shape), gamma, rstd), op, wants, outputs)


CASES = {
    "batch_norm": batch_norm(images=False),
    "batch_norm2d": batch_norm(images=True),
    "batch_norm_backward": batch_norm_backward(images=False),
    "batch_norm2d_backward": batch_norm_backward(images=True),
    "group_norm": group_norm,
    "group_norm_backward": group_norm_backward,
    "layer_norm": layer_norm,
    "layer_norm_backward": layer_norm_backward,
    "rms_norm": rms_norm,
    "rms_norm_backward": rms_norm_backward,
}
