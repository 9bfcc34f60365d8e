"""Errors of the activations in units in the last place of the exact result, over the range of float32.

The default run takes a sample of one in 4099; ``pytest -m slow tests/ops/test_accuracy.py`` takes every value, four
billion per function, a few minutes each.
"""

import numpy as np
import pytest
from activation_formulas import FORWARD

import pynn
from pynn import ops

CHUNK = 1 << 24
SAMPLE = 4099
#: The smallest number that is not denormal.
SMALLEST = float(np.finfo(np.float32).smallest_normal)

#: The most units that a function may be off by: in Cython's kernels, and in the others, which are made of NumPy's and
#: libm's functions.
CASES = {
    "sigmoid": (4, 8),
    "tanh": (4, 4),
    "softplus": (4, 4),
    "gelu": (4, 256),
    "silu": (4, 64),
    "elu": (2, 4),
    "mish": (4, 64),
    "logsigmoid": (4, 4),
    "celu": (2, 4),
    "softsign": (2, 2),
}


def units(got, exact):
    """Return the error in units of the last place of float32, but for what denormals that count as 0 add."""
    finite = np.isfinite(exact) & np.isfinite(got)
    _, exponent = np.frexp(np.where(finite, exact, 1))
    unit = np.ldexp(1.0, np.maximum(exponent - 24, -149))
    error = np.abs(np.where(finite, got - exact, 0))
    return np.where(np.abs(exact) < 4 * SMALLEST, np.maximum(error - 2 * SMALLEST, 0), error) / unit


def worst(name, step):
    """Return the largest error of all the values whose bits are multiples of `step`."""
    largest = 0.0
    for first in range(0, 1 << 32, CHUNK * step):
        bits = np.arange(first, min(first + CHUNK * step, 1 << 32), step, dtype=np.uint64)
        x = bits.astype(np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            exact = FORWARD[name](x.astype(np.float64), 1.0)
            got = getattr(ops, name)(x).astype(np.float64)
            np.testing.assert_array_equal(np.isnan(got), np.isnan(exact))
            np.testing.assert_array_equal(np.isinf(got), np.isinf(exact.astype(np.float32)))
            largest = max(largest, float(units(got, exact).max()))
    return largest


@pytest.mark.parametrize("name", CASES)
def test_a_sample_of_all_float32(backend, name):
    compiled, others = CASES[name]
    limit = compiled if backend == "cython" else others
    assert worst(name, SAMPLE) <= limit


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_float32(name):
    compiled, _ = CASES[name]
    with pynn.use_backend("cython"):
        assert worst(name, 1) <= compiled
