"""Softmax and its logarithm against SciPy in float64, over every dimension, and finite differences."""

import numpy as np
import pytest
from scipy import special

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

OPS = {
    "softmax": (ops.softmax, ops.softmax_backward, special.softmax),
    "log_softmax": (ops.log_softmax, ops.log_softmax_backward, special.log_softmax),
}
SHAPES = [
    ((5, 1), 1),
    ((7, 10), -1),
    ((3, 129), 1),
    ((40, 30), 1),
    ((4, 700), -1),
    ((2, 1030), -1),
    ((2, 5, 6, 7), 1),
    ((2, 9, 140), 1),
    ((2, 3, 9), 2),
]


@pytest.fixture(params=OPS)
def name(request):
    return request.param


@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_forward_agrees_with_scipy(name, shape, dim, dtype, rng):
    forward, _, oracle = OPS[name]
    x = (5 * rng.normal(size=shape)).astype(dtype)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(forward(x, dim), oracle(x.astype(float), axis=dim), rtol=32 * eps, atol=32 * eps)


@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_backward_is_the_finite_difference(name, shape, dim, numeric_gradient, rng):
    forward, backward, _ = OPS[name]
    shape = tuple(min(size, 8) for size in shape)
    x, dy = rng.normal(size=shape), rng.normal(size=shape)
    numeric = numeric_gradient(lambda at: (dy * forward(at, dim)).sum(), x)
    np.testing.assert_allclose(backward(dy, forward(x, dim), dim), numeric, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
def test_backward_in_both_dtypes(name, shape, dim, dtype, rng):
    forward, backward, oracle = OPS[name]
    x, dy = rng.normal(size=(2, *shape)).astype(dtype)
    p, g = special.softmax(x.astype(float), axis=dim), dy.astype(float)
    want = (
        g - p * g.sum(dim, keepdims=True)
        if oracle is special.log_softmax
        else p * (g - (p * g).sum(dim, keepdims=True))
    )
    np.testing.assert_allclose(backward(dy, forward(x, dim), dim), want, atol=64 * np.finfo(dtype).eps * shape[dim])


def test_huge_scores_neither_overflow_nor_vanish(name, dtype):
    x = np.array([[1e30, 0, -1e30], [-1e30, -1e30, -1e30], [1e4, 1e4, 0], [-np.inf, 0, 0]], dtype)
    forward, _, oracle = OPS[name]
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(forward(x), oracle(x.astype(float), axis=1), rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("positions", [(), (3,)])
def test_a_row_with_nan_or_infinity_is_nan_and_no_other(name, bad, positions, dtype):
    x = np.zeros((2, 5, *positions), dtype)
    x[0, 2] = bad
    y = OPS[name][0](x, 1)
    assert np.isnan(y[0]).all()
    assert np.isfinite(y[1]).all()


@pytest.mark.parametrize("dim", [0, 2, -2, -3])
def test_the_batch_and_dimensions_that_do_not_exist_are_refused(name, dim):
    forward, backward, _ = OPS[name]
    for call in (lambda x: forward(x, dim), lambda x: backward(x, x, dim)):
        with pytest.raises(ValueError, match=f"dim is {dim}"):
            call(np.ones((4, 3)))
