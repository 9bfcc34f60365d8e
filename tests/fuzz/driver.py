"""Calls ops on random arguments and compares with float64.

A call is a function of its op, seed and dtype, so that one that went wrong is found again by its seed.
"""

import numpy as np
from fuzz import (
    cases_elementwise,
    cases_losses,
    cases_merged_norms,
    cases_norms,
    cases_products,
    cases_resampling,
    cases_softmax,
    cases_updates,
)
from fuzz.arrays import dressed, guarded, untouched
from fuzz.cases import Want, complaint

CASES = {
    name: case
    for module in (
        cases_elementwise,
        cases_products,
        cases_merged_norms,
        cases_norms,
        cases_losses,
        cases_softmax,
        cases_resampling,
        cases_updates,
    )
    for name, case in module.CASES.items()
}
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


class WrongResultError(AssertionError):
    """A call gave a wrong result, or wrote where it should not have."""


def outputs_for(rng, case, inputs):
    """Return some of the outputs as keywords, each in guarded memory or the input itself, and the memory's margins."""
    given, margins = {}, []
    for keyword, place in case.outputs.items():
        if rng.random() < 0.5:
            continue
        wanted = case.wants[place]
        shape = (wanted.value if isinstance(wanted, Want) else np.asarray(wanted)).shape
        of = case.inplace.get(keyword)
        dtype = wanted.dtype if isinstance(wanted, np.ndarray) else case.inputs[0].dtype
        if of is not None and inputs[of].flags.carray and inputs[of].dtype.isnative and rng.random() < 0.5:
            given[keyword] = inputs[of]
        else:
            given[keyword], edges = guarded(shape, dtype)
            margins.append((keyword, edges))
    return given, margins


def call_once(name, seed, dtype):
    """Call the op once; raise WrongResultError unless all results are right and nothing else was written to."""
    rng = np.random.Generator(np.random.SFC64(seed))
    case = CASES[name](rng, dtype)
    pairs = [(None, "") if array is None else dressed(array, rng) for array in case.inputs]
    inputs = [array for array, _ in pairs]
    given, margins = outputs_for(rng, case, inputs)
    story = f"{name}, seed {seed}, {dtype}, layouts {[layout for _, layout in pairs]}, outputs {list(given)}"
    try:
        results = case.call(*inputs, **given)
    except Exception as error:
        raise WrongResultError(f"{story}: {type(error).__name__}: {error}") from error
    for place, (got, wanted) in enumerate(zip(results, case.wants, strict=True)):
        wrong = complaint(got, wanted)
        if wrong:
            raise WrongResultError(f"{story}, result {place}: {wrong}")
    for keyword, edges in margins:
        if not untouched(edges):
            raise WrongResultError(f"{story}: it wrote beyond {keyword}")
    for array, original in zip(inputs, case.inputs, strict=True):
        kept = array is None or any(array is out for out in given.values())
        if not kept and array.astype(original.dtype).tobytes() != original.tobytes():
            raise WrongResultError(f"{story}: it changed an input")


def call_many(names, seed, count):
    """Call `count` times, each op in turn, with seeds that follow on `seed`."""
    names = list(names)
    with np.errstate(all="ignore"):
        for index in range(count):
            call_once(names[(seed + index) % len(names)], [seed, index], DTYPES[(index // len(names)) % 2])
