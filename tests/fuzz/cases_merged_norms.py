"""Trials of batch norm whose rows are parts of several processes."""

import numpy as np
from fuzz.arrays import SIZES
from fuzz.cases import Case, Numbers, ops, want, wide
from fuzz.cases_elementwise import parameter_of
from fuzz.cases_norms import EPS, SMOOTH, batchnorm_shape, before_activation, not_finite_is_free
from fuzz.networks import pick


def merge_statistics(rng, dtype):
    make, parts, features = Numbers(rng, dtype), pick(rng, 1, 2, 3, 5), pick(rng, *SIZES)
    each, momentum, eps = pick(rng, 1, 2, 12), pick(rng, 0.1, 0.9), pick(rng, *EPS)
    counts = np.append(rng.integers(0, 9, parts - 1), 2).astype(float)
    moments, mean, var = make.array(parts, 2, features), make.plain(features), np.abs(make.plain(features))
    used = counts > 0
    shown, elements = wide(moments)[used], counts[used] * each
    means, weights = shown[:, 0], (elements / elements.sum())[:, None]
    variances = np.where(elements[:, None] > 1, np.maximum(1 / shown[:, 1] ** 2 - eps, 0), 0)
    sizes = np.where(elements[:, None] > 1, 1 / shown[:, 1] ** 2 + eps, 0)
    centre, size = (weights * means).sum(axis=0), np.abs(weights * means).sum(axis=0)
    spread = (weights * (variances + (means - centre) ** 2)).sum(axis=0)
    # A rounding of the mean, which counts twice: squared, and times the distance from it.
    slack = (weights * (sizes + (np.abs(means) + size) ** 2)).sum(axis=0)
    n = elements.sum()
    wants = (
        want(centre, size, dtype),
        want(spread, slack, dtype, loose=True),
        want((1 - momentum) * wide(mean) + momentum * centre, np.abs(wide(mean)) + size, dtype),
        want((1 - momentum) * wide(var) + momentum * n / (n - 1) * spread, wide(var) + 2 * slack, dtype, loose=True),
    )

    def call(moments, **out):
        state = mean.copy(), var.copy()
        options = {"each": each, "momentum": momentum, "eps": eps}
        return *ops.merge_statistics(moments, counts, *state, **options, **out), *state

    return Case((moments,), call, wants, {"mean_out": 0, "var_out": 1})


def merge_gradients(rng, dtype):
    make, parts, features = Numbers(rng, dtype), pick(rng, 1, 2, 3, 5), pick(rng, *SIZES)
    sums, count = make.array(parts, 2, features), int(rng.integers(1, 99))
    wanted = want(wide(sums).sum(axis=0) / count, np.abs(wide(sums)).sum(axis=0) / count, dtype)
    return Case((sums,), lambda sums, **out: (ops.merge_gradients(sums, count=count, **out),), (wanted,), {"out": 0})


def merged_input_gradient(rng, dtype):
    make = Numbers(rng, dtype, ("ordinary", "ordinary", "scaled", "special", "ties"))
    shape, name = batchnorm_shape(rng, make.chance(0.5)), pick(rng, None, None, *SMOOTH)
    alpha, features = parameter_of(rng, name), shape[1]
    x, dy, means = make.plain(*shape), make.array(*shape), make.plain(2, features)
    gamma, beta, mean, rstd = (make.plain(features) for _ in range(4))
    line = (1, features, *(1,) * (len(shape) - 2))
    g, b, m, r = (wide(array).reshape(line) for array in (gamma, beta, mean, rstd))
    product, mean_dz = (wide(array).reshape(line) for array in means)
    unit = float(np.finfo(dtype).eps)
    dz, pre_error = before_activation(name, alpha, wide(dy), wide(x), (g, b, m, r), unit)
    size = np.abs(dz) + np.abs(mean_dz) + np.abs(r * product) * (np.abs(wide(x)) + np.abs(m))
    extra = np.abs(g * r * wide(dy)) * (pre_error + 16 * unit) if name is not None else 0.0
    value = g * r * (dz - mean_dz - (wide(x) - m) * r * product)
    wanted = not_finite_is_free(want(value, np.abs(g * r) * size, dtype, 8, True, extra), wide(dy) + 0 * value)

    def call(*arrays, **out):
        return (ops.merged_input_gradient(*arrays, activation=None if name is None else (name, alpha or None), **out),)

    return Case((dy, x, gamma, beta, mean, rstd, means), call, (wanted,), {"dx": 0})


CASES = {
    "merge_statistics": merge_statistics,
    "merge_gradients": merge_gradients,
    "merged_input_gradient": merged_input_gradient,
}
