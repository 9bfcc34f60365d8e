"""Matrix multiply and the linear layer's gradients against float64 products, within a dot product's error bound."""

import itertools

import numpy as np
import pytest
from cases import case
from hypothesis import given
from hypothesis import strategies as st

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

SIZES = (0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 64, 67)
EDGES = [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0), (1, 1, 1), (1, 67, 1), (67, 1, 67), (1, 300, 513)]
SAMPLED = [tuple(map(int, shape)) for shape in np.random.default_rng(1).choice(SIZES, size=(40, 3))]
LARGE = [(64, 784, 256), (300, 500, 130), (50, 100, 10), (129, 1025, 65), (600, 33, 40), (5, 64, 1030)]
#: All rows at once beside more columns than the second-level cache holds; more columns than are packed together.
LARGE += [(200, 520, 1040), (150, 20, 3100)]
#: So few k that C is written row by row.
LARGE += [(70, 10, 300), (41, 31, 402), (300, 10, 75)]
#: Few columns, and as few beside whole panels.
NARROW = [(35, 130, 1), (100, 80, 2), (70, 90, 3), (67, 147, 4), (9, 300, 6), (17, 200, 8), (40, 45, 10), (1, 90, 3)]
NARROW += [(50, 170, 100), (33, 600, 67), (35, 1300, 10), (9, 1100, 5)]
#: So few k that a row of C is written as a whole; the last ones have too many columns for that.
SHALLOW = [(150, 1, 100), (7, 2, 33), (64, 3, 64), (5, 4, 17), (3, 4, 500), (2, 1, 2040), (2, 1, 4090), (2, 4, 1030)]
#: One to four rows, for which no panel is packed: k of whole vectors and not, n in fours, twos and one by one.
FEW_ROWS = [(m, k, n) for m in (1, 2, 3, 4) for k in (31, 64, 101) for n in (1, 4, 7, 40)]


def operands(rng, dtype, m, k, n, trans_a=False, trans_b=False):
    a = rng.normal(size=(k, m) if trans_a else (m, k)).astype(dtype)
    b = rng.normal(size=(n, k) if trans_b else (k, n)).astype(dtype)
    return a, b


def assert_is_product(got, a, b, bias=None):
    """Compare with the float64 product: a sum of k products is off by at most k eps times the sum of |products|."""
    dtype, k = a.dtype, a.shape[1]
    a, b = a.astype(np.float64), b.astype(np.float64)
    bias = np.zeros(b.shape[1]) if bias is None else bias.astype(np.float64)
    allowed = (k + 4) * np.finfo(dtype).eps * (np.abs(a) @ np.abs(b) + np.abs(bias))
    assert got.dtype == dtype and got.shape == (a.shape[0], b.shape[1])
    np.testing.assert_array_less(np.abs(got - (a @ b + bias)), allowed + np.finfo(dtype).tiny)


@pytest.mark.parametrize(
    "shapes",
    [EDGES, SAMPLED, LARGE, NARROW, SHALLOW, FEW_ROWS],
    ids=["edges", "sampled", "large", "narrow", "shallow", "few rows"],
)
def test_every_size_and_transposition(dtype, shapes, rng):
    for (m, k, n), trans_a, trans_b in itertools.product(shapes, (False, True), (False, True)):
        with case(f"{m}x{k}x{n}", trans_a=trans_a, trans_b=trans_b):
            a, b = operands(rng, dtype, m, k, n, trans_a, trans_b)
            bias = rng.normal(size=n).astype(dtype)
            left, right = a.T if trans_a else a, b.T if trans_b else b
            assert_is_product(ops.matmul(a, b, trans_a=trans_a, trans_b=trans_b), left, right)
            with_bias = ops.matmul(a, b, trans_a=trans_a, trans_b=trans_b, bias=bias)
            assert_is_product(with_bias, left, right, bias)


@pytest.mark.parametrize(
    "activation", [*ops.ACTIVATIONS, ("leaky_relu", 0.3), ("elu", 0.5), ("softplus", 2.0)], ids=str
)
def test_activation_is_applied_to_what_pre_out_receives(dtype, activation, rng):
    name, *parameter = [activation] if isinstance(activation, str) else activation
    function = {"gelu_tanh": lambda x: ops.gelu(x, "tanh")}.get(name) or getattr(ops, name)
    eps = np.finfo(dtype).eps
    for columns, trans_a, trans_b, with_bias in itertools.product((37, 3, 66), *[(False, True)] * 3):
        with case(columns=columns, trans_a=trans_a, trans_b=trans_b, with_bias=with_bias):
            a, b = operands(rng, dtype, 19, 83, columns, trans_a, trans_b)
            bias = rng.normal(size=columns).astype(dtype) if with_bias else None
            out, pre_out = np.full((2, 19, columns), np.nan, dtype)
            options = {"trans_a": trans_a, "trans_b": trans_b, "bias": bias, "activation": activation}
            assert ops.matmul(a, b, **options, out=out, pre_out=pre_out) is out
            assert_is_product(pre_out, a.T if trans_a else a, b.T if trans_b else b, bias)
            np.testing.assert_allclose(out, function(pre_out, *parameter), rtol=64 * eps, atol=64 * eps)
            np.testing.assert_array_equal(ops.matmul(a, b, **options), out)


@pytest.mark.parametrize("shape", [(20, 30, 200), (70, 10, 300), (200, 520, 1040), (35, 1300, 10)], ids=str)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_activation_of_products_that_are_done_in_blocks(dtype, shape, activation, rng):
    m, k, n = shape
    a, b = operands(rng, dtype, m, k, n)
    bias = rng.normal(size=n).astype(dtype)
    want = getattr(ops, activation)(ops.matmul(a, b, bias=bias))
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(ops.matmul(a, b, bias=bias, activation=activation), want, rtol=64 * eps, atol=64 * eps)


def test_pre_out_without_activation_is_the_result(dtype, rng):
    a, b = operands(rng, dtype, 9, 10, 11)
    pre_out = np.full((9, 11), np.nan, dtype)
    np.testing.assert_array_equal(ops.matmul(a, b, pre_out=pre_out), pre_out)


@pytest.mark.parametrize("shape", [(5, 7, 9), (33, 65, 47), (64, 784, 256), (37, 50, 2), (37, 2, 50)], ids=str)
def test_nan_stays_in_its_row_and_column(dtype, shape, rng):
    m, k, n = shape
    a, b = operands(rng, dtype, m, k, n)
    clean = ops.matmul(a, b)
    a[2, k - 1] = np.nan
    got = ops.matmul(a, b)
    assert np.isnan(got[2]).all()
    np.testing.assert_allclose(np.delete(got, 2, axis=0), np.delete(clean, 2, axis=0), rtol=1e-4, atol=1e-4)
    a[2, k - 1] = 0
    b[0, n - 1] = np.nan
    got = ops.matmul(a, b)
    assert np.isnan(got[:, -1]).all()
    assert np.isfinite(got[:, :-1]).all()


def test_infinity_times_zero_is_nan_and_stays_in_its_row(dtype, rng):
    a, b = operands(rng, dtype, 7, 13, 19)
    a[3, 5], b[5, 4] = np.inf, 0
    got = ops.matmul(a, b)
    assert np.isnan(got[3, 4])
    others = np.delete(np.arange(19), 4)
    np.testing.assert_array_equal(got[3, others], np.copysign(np.inf, b[5, others]))
    assert np.isfinite(np.delete(got, 3, axis=0)).all()


def test_nan_passes_a_fused_relu(dtype):
    a = np.array([[np.nan, 1.0], [-1.0, 1.0]], dtype)
    got = ops.matmul(a, np.eye(2, dtype=dtype), activation="relu")
    np.testing.assert_array_equal(got, np.array([[np.nan, np.nan], [0, 1]], dtype))


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (0, 3, 4), (5, 0, 3), (5, 3, 0), (17, 31, 9), (64, 300, 130), (40, 70, 2)], ids=str
)
def test_linear_backward(dtype, shape, rng):
    n, inputs, outputs = shape
    x, w = operands(rng, dtype, n, inputs, outputs)
    dy = rng.normal(size=(n, outputs)).astype(dtype)
    dw, db, dx = ops.linear_backward(dy, x, w)
    assert_is_product(dw, x.T, dy)
    assert_is_product(db[None], np.ones((1, n), dtype), dy)
    assert_is_product(dx, dy, w.T)
    into = [np.full_like(array, np.nan) for array in (dw, db, dx)]
    returned = ops.linear_backward(dy, x, w, dw=into[0], db=into[1], dx=into[2])
    for got, given_in, want in zip(returned, into, (dw, db, dx), strict=True):
        assert got is given_in
        np.testing.assert_array_equal(got, want)


def test_linear_backward_can_leave_dx_out(dtype, rng):
    x, w = operands(rng, dtype, 40, 12, 21)
    dy = rng.normal(size=(40, 21)).astype(dtype)
    dw, db, _ = ops.linear_backward(dy, x, w)
    got_dw, got_db, dx = ops.linear_backward(dy, x, w, need_dx=False)
    assert dx is None
    np.testing.assert_array_equal(got_dw, dw)
    np.testing.assert_array_equal(got_db, db)


def test_linear_backward_can_leave_db_out(dtype, rng):
    dy, x, w = (rng.normal(size=shape).astype(dtype) for shape in ((6, 4), (6, 5), (5, 4)))
    untouched = np.full(4, 7, dtype)
    for db in (None, untouched):
        returned = ops.linear_backward(dy, x, w, db=db, need_db=False)
        assert returned[1] is None
        np.testing.assert_array_equal(returned[0], ops.linear_backward(dy, x, w)[0])
    assert (untouched == 7).all()


@given(
    shape=st.tuples(*[st.integers(0, 70)] * 3),
    transpositions=st.tuples(st.booleans(), st.booleans()),
    with_bias=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_products_of_any_size(dtype, shape, transpositions, with_bias, seed):
    m, k, n = shape
    trans_a, trans_b = transpositions
    rng = np.random.default_rng(seed)
    a, b = operands(rng, dtype, m, k, n, trans_a, trans_b)
    bias = rng.normal(size=n).astype(dtype) if with_bias else None
    got = ops.matmul(a, b, trans_a=trans_a, trans_b=trans_b, bias=bias)
    assert_is_product(got, a.T if trans_a else a, b.T if trans_b else b, bias)


def test_unknown_activation_raises():
    with pytest.raises(ValueError, match="unknown activation 'swish'"):
        ops.matmul(np.ones((2, 2)), np.ones((2, 2)), activation="swish")
