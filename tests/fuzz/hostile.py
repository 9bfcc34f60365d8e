"""Calls of ops of which one argument makes no sense: they may raise what is documented, and nothing else."""

import inspect

import numpy as np
from fuzz.cases import ops
from fuzz.driver import CASES
from fuzz.networks import pick

#: What an op may raise; a MemoryError where a shape that is allowed does not fit into memory.
ALLOWED = (TypeError, ValueError, MemoryError)
HUGE = 2**61


def wrong_arrays(rng, array):
    """Return arrays that an op cannot take, or takes for what they are."""
    shape = array.shape
    return (
        array[None],
        array.reshape(-1)[:0],
        np.zeros((*shape, 0), array.dtype),
        np.zeros((0, *shape[1:]), array.dtype),
        np.concatenate([array, array[:1]]) if array.ndim and len(array) else array[None],
        array.astype(np.float16),
        array.astype(np.complex128),
        array.astype(np.int64) if np.isfinite(array).all() else array.astype(bool),
        array.astype(np.float64 if array.dtype == np.float32 else np.float32),
        array.astype(object),
        np.zeros(shape, [("a", "f4"), ("b", "i2")]),
        np.zeros(shape, "U3"),
        np.ma.masked_array(array, np.zeros(shape, bool)),
        array.tolist(),
        np.array(1.0, array.dtype),
        None,
        "x",
        3,
        float("nan"),
        {},
    )


NUMBERS = (
    HUGE, HUGE,
    HUGE, -HUGE, 2**63, 2**64, 2**31, 2**32, -1, 0, 10**30, 1.5, float("nan"), float("inf"), -float("inf"), 1e308, None,
    "same", "x", (), (HUGE, HUGE), (0, 0), (1, HUGE), (HUGE, 1), (-1, 1), (1, 2, 3), [1, 1], np.int64(2**62), True, {},
    np.zeros(0), np.ones((2, 2)),
)  # fmt: skip


class Replaced:
    """Calls an op with one or two arguments replaced by others."""

    def __init__(self, rng):
        self.rng, self.story = rng, ""

    def __call__(self, op, *arguments, **options):
        named = inspect.signature(op).bind(*arguments, **options)
        named.apply_defaults()
        values, story = named.arguments, []
        for _ in range(pick(self.rng, 1, 1, 2)):
            name = pick(self.rng, *values)
            given = values[name]
            of_floats = isinstance(given, np.ndarray) and given.dtype.kind == "f" and self.rng.random() < 0.9
            values[name] = pick(self.rng, *(wrong_arrays(self.rng, given) if of_floats else NUMBERS))
            story.append(f"{name} = {values[name]!r:.60}")
        self.story = f"{op.__name__} with {', '.join(story)}"
        return op(*named.args, **named.kwargs)


def call_hostile(seed):
    """Call a random op with an argument that makes no sense; raise what it must not raise."""
    rng = np.random.Generator(np.random.SFC64(seed))
    case = CASES[pick(rng, *CASES)](rng, np.dtype("f4"))
    ops.instead = Replaced(rng)
    try:
        case.call(*[None if array is None else array.copy() for array in case.inputs])
    except ALLOWED:
        pass
    except Exception as error:
        raise AssertionError(f"{ops.instead.story}, seed {seed}: {type(error).__name__}: {error}") from error
    finally:
        ops.instead = None
