"""exp and related functions for compiled loops: one number in, one of the same dtype out.

In float32 they are polynomials without calls or branches, so that the loops around them vectorise: 0.3 to 1.7 ns per
element on AVX2, 6 to 34 times as fast as the C library. float64 uses the C library: gradient checks need its last bits.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload
from numpy import float32 as f32
from numpy import int32 as i32

from .compiled import FMA, njit

SQRT_HALF = 0.70710678118654752440

#: Allows FMA, but nothing that assumes finite numbers or reorders operations. A call left in a loop keeps it scalar.
OPTIONS = {"error_model": "numpy", "fastmath": FMA, "forceinline": True}


def exp_of_negative(x):
    """Return exp(x) for x <= 0."""
    return math.exp(x)


def expm1_of_negative(x):
    """Return exp(x) - 1 for x <= 0, accurate near 0."""
    return math.expm1(x)


def log1p_of_share(x):
    """Return log(1 + x) for x in [0, 1], accurate near 0."""
    return math.log1p(x)


def tanh(x):
    """Return the hyperbolic tangent."""
    return math.tanh(x)


def normal_cdf(x):
    """Return the standard normal distribution function."""
    return 0.5 * math.erfc(-SQRT_HALF * x)


@njit(**OPTIONS)
def _reduced(x):
    """Return (n, expm1(r)) with x = n ln 2 + r and |r| <= ln(2) / 2 (Cephes, expf)."""
    shifter = f32(12582912.0)  # 1.5 * 2**23: adding it rounds to an integer, held in the low bits
    shifted = x * f32(1.44269504088896341) + shifter
    n = shifted - shifter
    r = (x - n * f32(0.693359375)) - n * f32(-2.12194440e-4)
    p = f32(1.9875691500e-4)
    p = p * r + f32(1.3981999507e-3)
    p = p * r + f32(8.3334519073e-3)
    p = p * r + f32(4.1665795894e-2)
    p = p * r + f32(1.6666665459e-1)
    p = p * r + f32(5.0000001201e-1)
    return i32(np.float32(shifted).view(np.int32) - i32(0x4B400000)), p * (r * r) + r


@njit(**OPTIONS)
def _power_of_two(n):
    return np.int32(i32(n + i32(127)) << i32(23)).view(np.float32)


@njit(**OPTIONS)
def _exp_of_negative_f32(x):
    n, p = _reduced(f32(-104) if x < f32(-104) else x)
    half = i32(n >> i32(1))  # two factors: 2**n itself is below the normal range if the result is subnormal
    return (f32(1) + p) * _power_of_two(half) * _power_of_two(i32(n - half))


@njit(**OPTIONS)
def _expm1_of_negative_f32(x):
    n, p = _reduced(f32(-25) if x < f32(-25) else x)
    power = _power_of_two(n)
    return power * p + (power - f32(1))


@njit(**OPTIONS)
def _log1p_of_share_f32(x):
    z = x / (f32(2) + x)  # log(1 + x) = 2 artanh(z), z <= 1/3
    s = z * z
    p = f32(1 / 15)
    p = p * s + f32(1 / 13)
    p = p * s + f32(1 / 11)
    p = p * s + f32(1 / 9)
    p = p * s + f32(1 / 7)
    p = p * s + f32(1 / 5)
    p = p * s + f32(1 / 3)
    return f32(2) * (z + z * s * p)


@njit(**OPTIONS)
def _tanh_f32(x):
    e = _expm1_of_negative_f32(f32(-2) * abs(x))
    t = e / (f32(2) + e)
    return t if x < f32(0) else (-t if x > f32(0) else x)  # zero keeps its sign


@njit(**OPTIONS)
def _normal_cdf_f32(x):
    """Evaluate exp(-z^2 / 2) t R(t) at z = |x|, with t = 1 / (1 + 0.3 z) and R fitted to a relative error of 4e-9."""
    z = f32(15) if abs(x) > f32(15) else abs(x)
    top = np.int32(np.float32(z).view(np.int32) & i32(-4096)).view(np.float32)  # its square is exact
    t = f32(1) / (f32(1) + f32(0.3) * z)
    p = f32(-0.020833317697977513)
    p = p * t + f32(0.1135631509267513)
    p = p * t + f32(-0.23083034554663212)
    p = p * t + f32(0.19521827735552888)
    p = p * t + f32(-0.08222337830506563)
    p = p * t + f32(0.09762378056552894)
    p = p * t + f32(0.07789724236226417)
    p = p * t + f32(0.11033725462108165)
    p = p * t + f32(0.11956006931649948)
    p = p * t + f32(0.11968726441830599)
    density = _exp_of_negative_f32(f32(-0.5) * top * top) * _exp_of_negative_f32(f32(-0.5) * (z - top) * (z + top))
    lower = density * (p * t)
    return f32(1) - lower if x > f32(0) else lower


@njit(**OPTIONS)
def _normal_cdf_f64(x):
    return 0.5 * math.erfc(-SQRT_HALF * x)


def _serve(function, single, double):
    @overload(function, jit_options=OPTIONS)
    def choose(x):
        chosen = single if x == types.float32 else double
        return lambda x: chosen(x)


_serve(exp_of_negative, _exp_of_negative_f32, math.exp)
_serve(expm1_of_negative, _expm1_of_negative_f32, math.expm1)
_serve(log1p_of_share, _log1p_of_share_f32, math.log1p)
_serve(tanh, _tanh_f32, math.tanh)
_serve(normal_cdf, _normal_cdf_f32, _normal_cdf_f64)


@njit(**OPTIONS)
def sigmoid(x):
    """Return 1 / (1 + exp(-x)); the exponential of a non-positive number cannot overflow."""
    one = type(x)(1)
    small = exp_of_negative(-abs(x))
    return (small if x < type(x)(0) else one) / (one + small)
