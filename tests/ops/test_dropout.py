"""Dropout against a plain-Python SplitMix64: every backend must keep the same elements, so all keep the same ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynn import ops

pytestmark = pytest.mark.usefixtures("backend")

MASK = 2**64 - 1


def splitmix64(seed, index):
    """Return output number `index`, from 0, of the generator of Steele, Lea & Flood (2014)."""
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def kept(p, seed, offset, size):
    return np.array([splitmix64(seed, offset + i) >> 40 >= int(p * 2**24) for i in range(size)], bool)


def test_reference_generator_gives_its_published_numbers():
    assert [splitmix64(1234567, i) for i in range(3)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


@pytest.mark.parametrize(
    ("seed", "offset"), [(0, 0), (1, 0), (2**63 + 7, 123_456), (2**64 - 1, 2**63 - 1), (42, 2**40)]
)
def test_same_bits_as_the_reference(dtype, seed, offset, rng):
    x = rng.normal(size=(13, 17)).astype(dtype)
    for p in (0.0, 1e-9, 0.1, 0.5, 0.75, 0.999, 1.0):
        scale = dtype.type(1 / (1 - p)) if p < 1 else dtype.type(0)
        want = np.where(kept(p, seed, offset, x.size).reshape(x.shape), x * scale, 0)
        np.testing.assert_array_equal(ops.dropout(x, p, (seed, offset)), want, err_msg=f"{p=}")
        np.testing.assert_array_equal(ops.dropout_backward(x, p, (seed, offset)), want, err_msg=f"{p=}")


@given(p=st.floats(0, 1), seed=st.integers(0, MASK), offset=st.integers(0, 2**63 - 1), size=st.integers(0, 70))
def test_any_probability_seed_and_offset(dtype, p, seed, offset, size):
    got = ops.dropout(np.ones(size, dtype), p, (seed, offset))
    np.testing.assert_array_equal(got != 0, kept(p, seed, offset, size) & (p < 1))


def test_an_element_exactly_at_the_threshold_is_kept(dtype):
    p = (splitmix64(7, 2) >> 40) / 2**24
    assert ops.dropout(np.ones(3, dtype), p, (7, 0))[2] != 0
    assert ops.dropout(np.ones(3, dtype), p + 2**-24, (7, 0))[2] == 0


def test_p_zero_keeps_and_p_one_drops_every_bit(dtype, rng):
    x = rng.normal(size=1000).astype(dtype)
    np.testing.assert_array_equal(ops.dropout(x, 0.0, (3, 0)), x)
    x[::2] = np.nan
    np.testing.assert_array_equal(ops.dropout(x, 1.0, (3, 0)), np.zeros_like(x))


def test_dropped_nan_is_zero_and_kept_nan_stays(dtype):
    got = ops.dropout(np.full(64, np.nan, dtype), 0.5, (9, 0))
    np.testing.assert_array_equal(got, np.where(kept(0.5, 9, 0, 64), np.nan, 0))


@pytest.mark.parametrize("split", [0, 1, 33, 64, 999])
def test_offset_continues_the_stream(dtype, split):
    x = np.arange(1, 1001, dtype=dtype)
    halves = ops.dropout(x[:split], 0.3, (5, 70)), ops.dropout(x[split:], 0.3, (5, 70 + split))
    np.testing.assert_array_equal(np.concatenate(halves), ops.dropout(x, 0.3, (5, 70)))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_of_kept_elements_and_expectation(dtype, p):
    size = 200_000
    y = ops.dropout(np.ones(size, dtype), p, (11, 0))
    deviation = (p * (1 - p) / size) ** 0.5
    assert abs((y != 0).mean() - (1 - p)) < 4 * deviation
    assert abs(y.mean(dtype=np.float64) - 1) < 4 * deviation / (1 - p)


def test_out_may_be_the_input(dtype, rng):
    x = rng.normal(size=(5, 6)).astype(dtype)
    want = ops.dropout(x, 0.4, (8, 0))
    out = np.full_like(x, np.nan)
    assert ops.dropout(x, 0.4, (8, 0), out=out) is out
    assert ops.dropout_backward(x, 0.4, (8, 0), out=x) is x
    np.testing.assert_array_equal(out, want)
    np.testing.assert_array_equal(x, want)


def test_dropout2d_drops_whole_channels(dtype):
    x = np.ones((20, 30, 3, 3), dtype)
    y = ops.dropout2d(x, 0.3, (5, 0))
    kept = y[:, :, 0, 0] > 0
    np.testing.assert_array_equal(y, np.where(kept[:, :, None, None], np.asarray(1 / 0.7, dtype), 0).astype(dtype) * x)
    assert 0.6 < kept.mean() < 0.8
    np.testing.assert_array_equal(kept.ravel(), ops.dropout(np.ones(600, dtype), 0.3, (5, 0)) > 0)


@pytest.mark.parametrize("p", [-0.1, 1.1, np.nan])
def test_p_must_be_a_probability(p):
    with pytest.raises(ValueError, match=r"^p is .*; expected a number in \[0, 1\]"):
        ops.dropout(np.ones(3), p, (0, 0))


@pytest.mark.parametrize(("seed", "offset"), [(-1, 0), (2**64, 0), (0, -1), (0, 2**63)])
def test_seed_and_offset_must_fit(seed, offset):
    with pytest.raises(ValueError, match=r"^(seed|offset|seed and offset are) .*; expected "):
        ops.dropout(np.ones(3), 0.5, (seed, offset))
