"""Batch norm of images where kernels take ways of their own: rows of any length, groups of channels, large results."""

import numpy as np
import pytest

from pynn import ops
from pynn.nn.parameters import aligned_zeros

pytestmark = pytest.mark.usefixtures("backend")

SIZES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 47, 49, 63, 64, 65, 100, 1025)


def exact(x, dy, gamma, beta, activation):
    """Return y, dx, dgamma and dbeta by the formulas, in float64."""
    x, dy, gamma, beta = (a.astype(float) for a in (x, dy, gamma, beta))
    scale, shift = gamma[:, None], beta[:, None]
    mean, var = x.mean(axis=(0, 2), keepdims=True), x.var(axis=(0, 2), keepdims=True)
    z = (x - mean) / np.sqrt(var + 1e-5)
    pre = z * scale + shift
    y = pre if activation is None else getattr(ops, activation)(pre)
    if activation == "relu":
        dy = np.where(pre > 0, dy, 0)
    elif activation == "tanh":
        dy = dy * (1 - y * y)
    means = dy.mean(axis=(0, 2), keepdims=True), (dy * z).mean(axis=(0, 2), keepdims=True)
    dx = scale / np.sqrt(var + 1e-5) * (dy - means[0] - z * means[1])
    return y, dx, (dy * z).sum(axis=(0, 2)), dy.sum(axis=(0, 2))


def check(shape, activation, dtype, rng):
    x, dy = rng.normal(3, 2, size=shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    gamma, beta = rng.normal(1, 0.3, size=shape[1]).astype(dtype), rng.normal(size=shape[1]).astype(dtype)
    running = np.zeros(shape[1], dtype), np.ones(shape[1], dtype)
    out, dx = aligned_zeros(shape, dtype), aligned_zeros(shape, dtype)
    y, mean, rstd = ops.batch_norm2d(x, gamma, beta, *running, activation=activation, out=out)
    got = y, *ops.batch_norm2d_backward(dy, x, gamma, beta, mean, rstd, activation=activation, dx=dx)
    for found, want in zip(got, exact(x, dy, gamma, beta, activation), strict=True):
        scale = max(1, np.abs(want).max())
        np.testing.assert_allclose(found, want, rtol=0, atol=scale * (2e-5 if dtype == np.float32 else 1e-12))


@pytest.mark.parametrize("activation", [None, "relu", "tanh"])
def test_rows_of_any_length(activation, dtype, rng):
    for index, size in enumerate(SIZES):
        check((4, (1, 3, 40)[index % 3], size), activation, dtype, rng)


@pytest.mark.parametrize("activation", [None, "relu"])
def test_a_result_too_large_for_the_cache(activation, rng):
    check((4, 3, (9 << 20) // 48), activation, np.float32, rng)
