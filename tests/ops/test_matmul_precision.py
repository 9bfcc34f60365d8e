"""float32 products on matrix units beside the same algorithm in NumPy, a chain of multiply-adds, and float64."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from split_products import nearest, product, rounded, split

import pynn
from pynn import ops
from pynn.backends.precision import PRODUCTS, using_matmul_precision
from pynn.backends.selection import instruction_set

#: Large enough for matrix units, at any precision.
SHAPES = [(257, 600, 259), (300, 513, 267), (512, 256, 300), (320, 1100, 200), (640, 200, 512), (333, 777, 444)]
EPS = np.finfo(np.float32).eps


def operands(rng, m, k, n):
    return rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)


def relative_error(got, a, b):
    """Return the errors in units of the sum of the products' sizes."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.abs(got - a @ b) / (np.abs(a) @ np.abs(b))


def chain(a, b):
    """Return the product as a chain of float32 multiply-adds; float64 holds a product, and its sum to a rounding."""
    sums = np.zeros((len(a), b.shape[1]), np.float32)
    for k in range(a.shape[1]):
        sums = (sums + a[:, k, None].astype(np.float64) * b[k]).astype(np.float32)
    return sums


@pytest.fixture
def units(record_property):
    """Run on matrix units, or skip; the summary of the run counts these tests."""
    with pynn.use_backend("auto"):
        if not (instruction_set() or "").endswith("-amx"):
            pytest.skip("needs matrix units (AMX)")
        record_property("tried: matrix units themselves", 1)
        yield


@pytest.fixture(params=PRODUCTS)
def precision(request):
    with using_matmul_precision(request.param):
        yield request.param


def test_three_parts_are_exact_and_each_is_bfloat16(rng):
    x = np.ldexp(rng.normal(size=20000), rng.integers(-80, 80, 20000)).astype(np.float32)
    parts = split(x, 3)
    np.testing.assert_array_equal(sum(part.astype(np.float64) for part in parts), x)
    for index, part in enumerate(parts):
        assert not (part.view(np.uint32) & 0xFFFF).any()
        assert (np.abs(part) <= np.abs(x) * 2.0 ** (-8 * index) * (1 + 2.0**-8)).all()
    assert (np.abs(x - sum(split(x, 2))) <= np.abs(x) * 2.0**-16).all()
    for function in (rounded, nearest):
        assert (np.abs(x - function(x)) <= np.abs(x) * 2.0**-8).all()


@pytest.mark.parametrize("k", [32, 100, 512, 1100])
@pytest.mark.parametrize("signs", ["both", "positive"])
def test_six_products_are_at_least_as_accurate_as_a_chain_of_multiply_adds(k, signs, rng, record_property):
    record_property("tried: matrix units, their reference in NumPy", 1)
    a, b = operands(rng, 60, k, 50)
    if signs == "positive":
        a, b = np.abs(a), np.abs(b)
    six, plain = relative_error(product(a, b), a, b), relative_error(chain(a, b), a, b)
    assert six.max() <= plain.max()
    assert np.sqrt(np.mean(six**2)) <= np.sqrt(np.mean(plain**2))


@pytest.mark.parametrize(("products", "allowed"), [(6, 2.0**-22), (3, 2.0**-14), (1, 2.0**-7 + 2.0**-16)])
def test_error_of_one_product_of_numbers(products, allowed, rng):
    a, b = np.ldexp(rng.normal(size=(2, 300)), rng.integers(-20, 20, (2, 300))).astype(np.float32)
    got = np.array([product(x.reshape(1, 1), y.reshape(1, 1), products)[0, 0] for x, y in zip(a, b, strict=True)])
    exact = a.astype(np.float64) * b
    assert (np.abs(got - exact) <= allowed * np.abs(exact)).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_units_compute_what_the_reference_says(units, precision, shape, rng):
    m, k, n = shape
    a, b = operands(rng, m, k, n)
    want = product(a, b, PRODUCTS[precision])
    for trans_a, trans_b in itertools.product((False, True), repeat=2):
        left, right = (a.T.copy() if trans_a else a), (b.T.copy() if trans_b else b)
        np.testing.assert_array_equal(ops.matmul(left, right, trans_a=trans_a, trans_b=trans_b), want)


def test_units_at_every_tail(units, precision, rng):
    """Sizes around multiples of the tiles, beside sizes that are large enough for the units."""
    for rows, depth, columns in itertools.product((16, 1, 31, 17), (96, 97, 127, 126), (32, 1, 15, 17, 31)):
        a, b = operands(rng, 400 + rows, 300 + depth, 400 + columns)
        got = ops.matmul(a, b)
        sample = rng.integers(0, len(a), 20), rng.integers(0, b.shape[1], 20)
        want = product(a[sample[0]], b[:, sample[1]], PRODUCTS[precision])
        np.testing.assert_array_equal(got[np.ix_(*sample)], want)


def test_highest_on_units_errs_less_than_the_tiles(units, rng):
    for m, k, n in SHAPES:
        a, b = operands(rng, m, k, n)
        for left, right in ((a, b), (np.abs(a), np.abs(b))):
            plain = relative_error(chain(left, right), left, right)
            assert relative_error(ops.matmul(left, right), left, right).max() <= plain.max()


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_bias_activation_and_pre_activation(units, precision, activation, rng):
    a, b = operands(rng, 300, 600, 270)
    bias, pre_out = rng.normal(size=270).astype(np.float32), np.empty((300, 270), np.float32)
    out = ops.matmul(a, b, bias=bias, activation=activation, pre_out=pre_out)
    np.testing.assert_array_equal(pre_out, product(a, b, PRODUCTS[precision]) + bias)
    np.testing.assert_array_equal(ops.matmul(a, b, bias=bias, activation=activation), out)
    np.testing.assert_allclose(out, getattr(ops, activation)(pre_out), rtol=64 * EPS, atol=64 * EPS)


@pytest.mark.parametrize("bits", [0x7F800000, 0xFF800000, 0x7FC00000, 0xFFFFFFFF, 0x7FFF8000, 0x7F800001, 0x7F7FFFFF])
@pytest.mark.parametrize("operand", [0, 1])
def test_what_is_not_finite_is_as_without_units(units, precision, bits, operand, rng):
    """NaN of any bits, infinities, and the largest float, whose nearest bfloat16 is infinite."""
    pair = operands(rng, 400, 300, 390)
    pair[operand][70, 60] = np.array(bits, np.uint32).view(np.float32)
    other = pair[1 - operand]
    other[(60, 5) if operand == 0 else (5, 70)] = 0
    got = ops.matmul(*pair)
    with np.errstate(invalid="ignore", over="ignore"):
        want = pair[0].astype(np.float64) @ pair[1].astype(np.float64)
        want = want.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(got[np.isinf(want)], want[np.isinf(want)])
    rest = np.isfinite(want) & (np.abs(want) < 1e30)
    assert rest.sum() >= 390 * 390
    np.testing.assert_allclose(got[rest], want[rest], rtol=1e-4, atol=1e-4)


def test_numbers_near_the_largest_do_not_overflow(units, precision):
    a = np.full((400, 300), np.finfo(np.float32).max, np.float32)
    b = np.zeros((300, 390), np.float32)
    b[0] = 1
    np.testing.assert_array_equal(ops.matmul(a, b), np.full((400, 390), np.finfo(np.float32).max, np.float32))


def test_small_numbers_lose_no_more_than_is_documented(units, rng):
    """Each part, product and sum below the smallest normal float may become 0."""
    tiny = np.finfo(np.float32).tiny
    for scale_a, scale_b in ((-130, 0), (-120, -4), (-70, -60), (-100, 0)):
        a, b = operands(rng, 400, 300, 390)
        a, b = np.ldexp(a, scale_a), np.ldexp(b, scale_b)
        exact = a.astype(np.float64) @ b.astype(np.float64)
        sizes = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
        lost = tiny * (2 * (np.abs(a).sum(1)[:, None] + np.abs(b).sum(0)) + 7 * 300)
        assert (np.abs(ops.matmul(a, b) - exact) <= 4 * EPS * sizes + lost).all()


def test_zeros_are_positive(units, precision):
    a, b = np.full((400, 300), -0.0, np.float32), np.ones((300, 390), np.float32)
    got = ops.matmul(a, b)
    assert (got == 0).all() and not np.signbit(got).any()


def test_bits_do_not_depend_on_threads(units, precision, rng):
    before = pynn.get_num_threads()
    cases = [(*operands(rng, m, k, n), rng.normal(size=n).astype(np.float32)) for m, k, n in SHAPES]
    results = []
    try:
        for threads in (1, 2, 3, 4, 7):
            pynn.set_num_threads(threads)
            results.append([ops.matmul(a, b, bias=bias, activation="relu") for a, b, bias in cases])
    finally:
        pynn.set_num_threads(before)
    for other in results[1:]:
        for got, want in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(got, want)


def test_a_forked_child_and_signal_handlers_use_the_units(units):
    code = """
import faulthandler, os, signal, threading, numpy as np, pynn
faulthandler.enable()
pynn.set_num_threads(2)
rng = np.random.default_rng(0)
a, b = rng.normal(size=(2, 400, 400)).astype(np.float32)
want = pynn.ops.matmul(a, b)
seen = []
signal.signal(signal.SIGALRM, lambda *_: seen.append(np.array_equal(pynn.ops.matmul(a, b), want)))
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
while len(seen) < 10:
    assert np.array_equal(pynn.ops.matmul(a, b), want)
signal.setitimer(signal.ITIMER_REAL, 0)
assert all(seen)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(pynn.ops.matmul(a, b), want) else 1)
assert os.waitpid(child, 0)[1] == 0
print(pynn.backends.selection.instruction_set())
"""
    environment = os.environ | {"PYNN_BACKEND": "cython"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("x86-64-v4-amx\n", "")


def test_pynn_isa_turns_the_units_off(units, rng):
    code = """
import numpy as np, pynn
a, b = np.random.default_rng(0).normal(size=(2, 256, 256)).astype(np.float32)
found = []
for precision in ("highest", "medium"):
    pynn.set_matmul_precision(precision)
    found.append(pynn.ops.matmul(a, b))
print(pynn.backends.selection.instruction_set(), np.array_equal(*found))
"""
    for isa, equal in (("x86-64-v4", True), ("x86-64-v4-amx", False)):
        environment = os.environ | {"PYNN_BACKEND": "cython", "PYNN_ISA": isa}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert (done.stdout, done.stderr) == (f"{isa} {equal}\n", "")


def test_float64_is_not_split(units, precision, rng):
    a, b = rng.normal(size=(2, 256, 256))
    np.testing.assert_allclose(ops.matmul(a, b), a @ b, rtol=1e-12, atol=1e-12)
