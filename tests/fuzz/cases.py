"""What a trial of an op is made of: its arguments, the call, and what a float64 formula says of the results."""

import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from fuzz.arrays import KINDS, numbers
from fuzz.networks import pick

import pynn


class Calls:
    """The ops, as trials call them: through one door, which counts, and where arguments can be replaced."""

    def __init__(self):
        self.count = 0
        #: Called instead of the op, with the op and its arguments, if not None.
        self.instead = None
        self.ACTIVATIONS = pynn.ops.ACTIVATIONS

    def __getattr__(self, name):
        op = getattr(pynn.ops, name)

        @functools.wraps(op)
        def call(*arguments, **options):
            self.count += 1
            if self.instead is not None:
                return self.instead(op, *arguments, **options)
            return op(*arguments, **options)

        setattr(self, name, call)
        return call


ops = Calls()


class Want(NamedTuple):
    """A result in float64, and by how much each element may be off: infinitely, where nothing can be said."""

    value: np.ndarray
    tolerance: np.ndarray
    loose: bool = False  # whether NaN may stand for an infinity and the other way round


class Case(NamedTuple):
    """A call of an op."""

    inputs: tuple  # float arrays, which any layout may hold; None for one that is not given
    call: Callable  # of the inputs and of keywords for outputs; returns what is to be compared
    wants: tuple  # a Want, an exact array or number, or None, for each result
    outputs: dict  # keyword -> the place in the results of what is written there
    inplace: Mapping = MappingProxyType({})  # keyword -> the input that it may be


def want(value, size, dtype, ulps=4, loose=False, extra=0.0):
    """Return a Want: off by so many units of the last place of `size`, the sum of the terms' absolute values.

    Where a term or a partial sum may leave the range of the dtype, nothing is said; nor of float64 beyond 1e150, whose
    squares do.
    """
    info = np.finfo(dtype)
    largest = float(info.max) / 8 if dtype == np.float32 else 1e150
    value = np.asarray(value, np.float64)
    tolerance = ulps * float(info.eps) * np.abs(size) + 64 * float(info.smallest_normal) + extra
    tolerance = np.where(np.asarray(size) > largest, np.inf, tolerance)
    unknown = np.where(np.isfinite(value), np.inf, 0)  # a NaN or an infinity must come out as such
    return Want(value, np.broadcast_to(np.where(np.isnan(tolerance), unknown, tolerance), value.shape), loose)


def free(value):
    """Return a Want that any result fulfils."""
    return Want(np.asarray(value, np.float64), np.full(np.shape(value), np.inf))


@np.errstate(invalid="ignore")  # of infinities and of infinite tolerances
def complaint(got, wanted):
    """Return what is wrong with a result, or None."""
    if wanted is None:
        return None
    if not isinstance(wanted, Want):
        return None if np.array_equal(got, wanted, equal_nan=True) else f"got {got!r}, expected {wanted!r}"
    if np.shape(got) != wanted.value.shape:
        return f"got the shape {np.shape(got)}, expected {wanted.value.shape}"
    dtype, got = np.asarray(got).dtype, np.asarray(got, np.float64)
    value, tolerance = wanted.value, wanted.tolerance
    good = (np.abs(got - value) <= tolerance) | (got == value) | (np.isnan(got) & np.isnan(value)) | np.isinf(tolerance)
    for edge in (value - tolerance, value + tolerance):  # a number beyond the dtype is an infinity in it
        good |= np.isinf(got) & (got == edge.astype(dtype))
    if wanted.loose:
        good |= ~np.isfinite(got) & ~np.isfinite(value)
    if good.all():
        return None
    where = np.unravel_index(int(np.argmin(good)), good.shape)
    return (
        f"got {got[where]!r}, expected {value[where]!r} +- {tolerance[where]:.2g} at {tuple(map(int, where))} of "
        f"{got.shape}; {int((~good).sum())} elements are wrong"
    )


class Numbers:
    """Makes one trial's arrays, all of one kind of numbers."""

    def __init__(self, rng, dtype, kinds=KINDS):
        self.rng, self.dtype, self.kind = rng, np.dtype(dtype), pick(rng, *kinds)

    def array(self, *shape):
        return numbers(self.rng, shape, self.dtype, self.kind)

    def plain(self, *shape):
        """Return ordinary numbers, whatever the kind."""
        return numbers(self.rng, shape, self.dtype)

    def chance(self, p=0.5):
        return self.rng.random() < p


def wide(array):
    """Return the array in float64."""
    return None if array is None else np.asarray(array, np.float64)


def count_of(shape):
    return math.prod(shape)
