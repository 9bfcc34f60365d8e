"""Arrays as they come to a user: of every memory layout and provenance, of awkward sizes, with awkward numbers."""

import pickle
import tempfile

import numpy as np

#: Around what vectors, tiles and unrolled loops are wide; primes; one and none.
SIZES = (0, 1, 2, 3, 5, 7, 8, 9, 11, 13, 15, 16, 17, 31, 32, 33, 63, 64, 65, 67)
SMALL = SIZES[:12]


class Subclass(np.ndarray):
    """What a library of arrays with units or labels hands over."""


def strided(array):
    """Return every third element of memory that holds others in between."""
    spread = np.full((*array.shape[:-1], 3 * array.shape[-1]), 77, array.dtype)
    spread[..., 1::3] = array
    return spread[..., 1::3]


def reversed_(array):
    """Return a view with negative strides."""
    return np.flip(np.flip(array).copy())


def read_only(array):
    """Return a copy that cannot be written to."""
    array = array.copy()
    array.flags.writeable = False
    return array


def misaligned(array):
    """Return a copy that starts one byte after where its elements should."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    moved = memory[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    return moved


def offset(array):
    """Return a copy that starts one element after an aligned address, and ends before one."""
    memory = np.full(array.size + 2, 77, array.dtype)
    moved = memory[1:-1].reshape(array.shape)
    moved[...] = array
    return moved


def swapped(array):
    """Return a copy of the other byte order."""
    return array.astype(array.dtype.newbyteorder())


def pickled(array):
    """Return what another process sends: its dtype equals NumPy's own, and is another object."""
    return pickle.loads(pickle.dumps(array))


def foreign(array):
    """Return a view with a dtype object of its own, which a change of the byte order and back has made."""
    return array.copy().view(array.dtype.newbyteorder().newbyteorder())


def subclass(array):
    """Return an array of a subclass."""
    return array.copy().view(Subclass)


def mapped(array):
    """Return an array that lies in a file."""
    if array.size == 0:
        return array
    with tempfile.TemporaryFile() as file:
        result = np.memmap(file, array.dtype, "w+", shape=array.shape)
    result[...] = array
    return result


#: Each copies an array of one or more dimensions and keeps shape and values.
LAYOUTS = {
    "plain": np.copy,
    "fortran": np.asfortranarray,
    "strided": strided,
    "reversed": reversed_,
    "read-only": read_only,
    "misaligned": misaligned,
    "offset": offset,
    "swapped": swapped,
    "pickled": pickled,
    "foreign dtype object": foreign,
    "subclass": subclass,
    "memory-mapped": mapped,
}
_NAMES = tuple(LAYOUTS)


def dressed(array, rng):
    """Return a copy in a layout that `rng` picks, plain ones half the time; and that layout's name."""
    name = "plain" if rng.random() < 0.5 or not array.ndim else _NAMES[int(rng.integers(len(_NAMES)))]
    return LAYOUTS[name](array), name


def numbers(rng, shape, dtype, kind="ordinary"):
    """Return numbers of a kind: ordinary, with a few special ones, all of one extreme size, or small and equal ones."""
    dtype = np.dtype(dtype)
    x = rng.standard_normal(shape, np.float32).astype(dtype)
    if kind == "special" and x.size:
        count = int(rng.integers(1, 4))
        x.flat[rng.integers(x.size, size=count)] = specials(dtype)[rng.integers(12, size=count)]
    elif kind == "scaled":
        maximum = 36 if dtype == np.float32 else 290
        x = (x.astype(np.float64) * 10.0 ** rng.integers(-maximum, maximum)).astype(dtype)
    elif kind == "ties":
        x = np.rint(x).astype(dtype)
    return x


#: How often each kind of numbers is drawn.
KINDS = ("ordinary", "ordinary", "ordinary", "special", "scaled", "ties")


def specials(dtype):
    """Return twelve numbers that go wrong first: not finite, zeros of both signs, denormal, huge, and near 1."""
    info = np.finfo(dtype)
    return np.array(
        [np.nan, np.inf, -np.inf, -0.0, 0.0, info.smallest_subnormal, -info.smallest_normal / 2, info.max / 8,
         -info.max / 8, info.eps, 1 - info.epsneg, -88.7], dtype,
    )  # fmt: skip


def guarded(shape, dtype):
    """Return an uninitialised array within memory that must stay as it is, and that memory's two margins."""
    size = int(np.prod(shape))
    memory = np.full(size + 32, 12345, dtype)
    return memory[16 : 16 + size].reshape(shape), (memory[:16], memory[16 + size :])


def untouched(margins):
    """Return whether nothing was written beyond an array that `guarded` has made."""
    return all((margin == 12345).all() for margin in margins)
